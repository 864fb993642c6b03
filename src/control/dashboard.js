// The dashboard: asks the control API once a second and shows what it says (docs/control-api.md).
//
// How it works: two answers become a sample. What is shown follows from the last sample, the one before it (rates are
// differences) and those of the last two minutes (charts, recent counts); show() alone writes to the page. Without an
// answer there is no last sample and every figure is a dash, so no number stands there that is not alive. What a
// gateway of another version does not tell is a dash as well.
//
// Text of clients (names of groups) and of the gateway becomes text nodes and nothing else (setText).
'use strict';

const period = 1_000;  // ms, as are all times here
const patience = 2_000;  // figures are answered at once
// Groups cost the workers a part of their turns, and may take 3 s while one is silent.
const groupsPeriod = 5_000;
const groupsPatience = 4_000;
const span = 120_000;  // of the charts
const gap = 3 * period;  // samples farther apart are not joined by a line
const groupsAsked = 100;
const groupsShown = 10;
const none = '–';
const tokenKey = 'wspool control token';

// ---- what is known

const state = {
  phase: 'asking',  // then told, silent or locked; changed by enter() alone
  since: new Date(),  // of the phase
  why: '',
  history: [],  // samples of one life of the gateway, oldest first, of the last `span`
  groups: null,  // the last answer about them
  groupsDue: 0,  // when they are asked for next; Infinity while they are
  token: readToken(),
};

// A browser may be told to keep nothing for pages, and then refuses even to look.
function readToken() {
  try { return sessionStorage.getItem(tokenKey); } catch { return null; }
}

function keepToken(token) {
  state.token = token;
  try {
    if (token === null) sessionStorage.removeItem(tokenKey);
    else sessionStorage.setItem(tokenKey, token);
  } catch { /* then it lasts until the page is left */ }
}

function enter(phase, why = '') {
  if (phase !== state.phase) state.since = new Date();
  state.phase = phase;
  state.why = why;
  if (phase === 'told') return;
  state.groups = null;
  if (state.groupsDue !== Infinity) state.groupsDue = 0;
}

// ---- reading

// The member at the end of the path, undefined where one of them is missing.
function at(from, ...path) {
  return path.reduce((value, name) => (value !== null && typeof value === 'object' ? value[name] : undefined), from);
}

function number(from, ...path) {
  const value = at(from, ...path);
  return typeof value === 'number' ? value : null;
}

const members = (from) => (from !== null && typeof from === 'object' ? Object.entries(from) : []);
const list = (from) => (Array.isArray(from) ? from : []);

// Of what is told; null when nothing is.
function sum(values) {
  const told = values.filter((value) => typeof value === 'number');
  return told.length === 0 ? null : told.reduce((a, b) => a + b, 0);
}

const total = (from) => sum(Object.values(from ?? {}));

// Growth per second of the figure that `of` finds in a sample.
function rate(before, sample, of) {
  if (before === undefined) return null;
  const [old, now] = [of(before), of(sample)];
  return old === null || now === null || now < old ? null : (now - old) * 1000 / (sample.at - before.at);
}

// ---- words for figures

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenth = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const rounded = (value) => (value > 0 && value < 9.95 ? tenth : whole).format(value);
const unless = (write) => (value) => (value === null ? none : write(value));

const count = unless((value) => whole.format(value));
const perSecond = unless((value) => `${rounded(value)}/s`);
const percent = unless((value) => `${whole.format(value)} %`);
const bytes = unless((value) => {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  let unit = 0;
  for (; value >= 1024 && unit + 1 < units.length; unit += 1) value /= 1024;
  return `${unit === 0 ? whole.format(value) : tenth.format(value)} ${units[unit]}`;
});
const bytesPerSecond = unless((value) => `${bytes(value)}/s`);
const duration = unless((seconds) => {
  const [s, m, h] = [seconds, seconds / 60, seconds / 3600].map(Math.floor);
  if (m === 0) return `${s} s`;
  if (h === 0) return `${m} min ${s % 60} s`;
  return h < 24 ? `${h} h ${m % 60} min` : `${whole.format(Math.floor(h / 24))} d ${h % 24} h`;
});

// ---- writing

const byId = (id) => document.getElementById(id);

// Only what changed is written: a selection stays, and a screen reader is told of news alone.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// Rows of text, the first cell of each being its name; null: nobody told.
function fill(id, rows) {
  const body = byId(id);
  const texts = [...body.parentNode.tHead.rows[0].cells].map((cell) => cell.classList.contains('text'));
  while (body.rows.length > (rows?.length ?? 0)) body.deleteRow(-1);
  for (const [index, cells] of (rows ?? []).entries()) {
    const row = body.rows[index] ?? body.insertRow();
    for (const [column, text] of cells.entries()) {
      let cell = row.cells[column];
      if (cell === undefined) {
        cell = row.appendChild(document.createElement(column === 0 ? 'th' : 'td'));
        if (column === 0) cell.scope = 'row';
        else cell.classList.toggle('text', texts[column]);
      }
      setText(cell, text);
    }
  }
  const note = byId(`${id}-none`);
  const isEmpty = body.rows.length === 0;
  body.closest('.wide').hidden = isEmpty;
  note.hidden = !isEmpty;
  setText(note, rows === null ? 'Not known now.' : note.dataset.empty);
}

// ---- charts

const inStats = (...path) => (sample) => number(sample.stats, ...path);
const charts = [
  { id: 'connected', title: 'Connections', write: count, of: inStats('connections', 'current'), isLevel: true },
  { id: 'messages-in', title: 'Messages in', write: perSecond, of: inStats('messages', 'received') },
  { id: 'messages-out', title: 'Messages out', write: perSecond, of: inStats('messages', 'sent') },
  { id: 'deliveries', title: 'Deliveries', write: perSecond, of: inStats('messages', 'delivered') },
  { id: 'bytes-in', title: 'Bytes in', write: bytesPerSecond, of: inStats('bytes', 'received') },
  { id: 'bytes-out', title: 'Bytes out', write: bytesPerSecond, of: inStats('bytes', 'sent') },
];
const [width, height] = [120, 40];

function makeChart(chart) {
  const figure = document.createElement('figure');
  const caption = figure.appendChild(document.createElement('figcaption'));
  setText(caption.appendChild(document.createElement('span')), chart.title);
  chart.value = caption.appendChild(document.createElement('b'));
  chart.value.id = chart.id;
  chart.most = caption.appendChild(document.createElement('small'));
  const svg = figure.appendChild(document.createElementNS('http://www.w3.org/2000/svg', 'svg'));
  svg.setAttribute('viewBox', `0 0 ${width} ${height}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  // The line adds nothing for those who cannot see it to what the caption says.
  svg.setAttribute('aria-hidden', 'true');
  chart.line = svg.appendChild(document.createElementNS(svg.namespaceURI, 'path'));
  byId('charts').append(figure);
}

// The line is of the past, and stays true when nobody answers: it moves on, and ends where the answers did.
function drawChart(chart, now) {
  const points = state.history
    .map((sample) => ({ at: sample.at, value: sample.shown[chart.id] }))
    .filter((point) => point.value !== null && point.at >= now - span);
  const top = points.reduce((most, { value }) => Math.max(most, value), 0);
  let path = '';
  let last = -Infinity;
  for (const { at: when, value } of points) {
    const x = width * (1 - (now - when) / span);
    const y = height - 1 - (top > 0 ? value / top : 0) * (height - 3);
    path += `${when - last > gap ? 'M' : 'L'}${x.toFixed(2)} ${y.toFixed(2)}`;
    last = when;
  }
  chart.line.setAttribute('d', path);
  setText(chart.most, `at most ${points.length === 0 ? none : chart.write(top)} in the last two minutes`);
}

// ---- what is shown

// Who did not get in, or did not stay, and what was not delivered: [what, why, how many].
function endsOf(stats) {
  const ends = [];
  for (const [what, from] of [['Refused', 'rejectedBy'], ['Closed', 'closedBy'], ['Dropped messages', 'droppedBy']]) {
    for (const [why, many] of members(stats?.[from])) ends.push([what, why, many]);
  }
  for (const [from, targets] of members(stats?.preemptions)) {
    for (const [to, many] of members(targets)) ends.push(['Preempted', `${from} for ${to}`, many]);
  }
  return ends;
}

function endRows(sample) {
  const before = new Map(endsOf(state.history[0].stats).map(([what, why, many]) => [`${what} ${why}`, many]));
  return endsOf(sample.stats)
    .filter(([, , many]) => many > 0)
    .map(([what, why, many]) => [what, why, count(many), count(many - (before.get(`${what} ${why}`) ?? 0))]);
}

function deathOf(process) {
  const death = at(process, 'lastDeath');
  if (!death) return 'none';
  return `${death.kind} ${death.detail}, ${duration(number(death, 'secondsAgo'))} ago`;
}

const processOf = (process) => ({
  state: String(at(process, 'state') ?? none),
  pid: number(process, 'pid') ? String(process.pid) : none,
  restarts: count(number(process, 'restarts')),
  uptime: duration(number(process, 'uptime')),
  death: deathOf(process),
});

function workerRows(sample, before) {
  const workers = list(at(sample.workers, 'workers'));
  const connections = workers.map((worker) => number(worker, 'connections', 'current'));
  const even = (sum(connections) ?? 0) / workers.length;
  const rows = workers.map((worker, index) => {
    const process = processOf(worker);
    const here = (...path) => (from) => number(at(from.workers, 'workers', index), ...path);
    const share = connections[index] === null || even === 0 ? null : 100 * connections[index] / even;
    return [String(worker.worker ?? index), process.state, process.pid, count(connections[index]), percent(share),
      perSecond(rate(before, sample, here('messages', 'received'))),
      perSecond(rate(before, sample, here('messages', 'sent'))),
      process.restarts, process.uptime, process.death];
  });
  const control = processOf(at(sample.workers, 'control'));
  rows.push(['control', control.state, control.pid, none, none, none, none,
    control.restarts, control.uptime, control.death]);
  return rows;
}

const seatRows = (stats) => members(stats.byPriority).map(([priority, taken]) => [
  priority, count(taken), count(number(stats, 'waiting', priority)), count(total(at(stats, 'preemptions', priority)))]);

const poolRows = (stats) => members(stats.pools).flatMap(([pool, seats]) =>
  members(seats.byPriority).map(([priority, taken]) => [
    pool, priority, count(taken), count(number(seats, 'waiting', priority)), count(number(seats, 'max'))]));

function showGroups() {
  const groups = state.groups && list(at(state.groups, 'groups'));
  const largest = groups && [...groups]
    .sort((a, b) => (number(b, 'members') ?? 0) - (number(a, 'members') ?? 0))
    .slice(0, groupsShown);
  fill('largest', largest && largest.map((group) => [
    String(group.group), count(number(group, 'members')), count(number(group, 'offset')),
    count(number(group, 'history'))]));
  const notes = [];
  if (at(state.groups, 'next') !== undefined) notes.push(`Of the first ${count(groups.length)} that were listed.`);
  const missing = list(at(state.groups, 'missing'));
  if (missing.length > 0) notes.push(`Not heard in time: worker ${missing.join(', ')}.`);
  setText(byId('largest-note'), notes.join(' '));
}

// [what the page is marked with, the sentence]
function stateOf(sample) {
  if (state.phase === 'asking') return ['asking', 'Asking the gateway.'];
  if (state.phase === 'locked') return ['locked', state.why];
  if (state.phase === 'silent') {
    return ['silent', `No answer since ${state.since.toLocaleTimeString()}: ${state.why}`];
  }
  if (at(sample.stats, 'draining') === true) {
    return ['draining', 'Draining: nobody new is let in, and who is connected is sent away step by step.'];
  }
  const workers = list(at(sample.workers, 'workers'));
  const serving = workers.filter((worker) => worker.state === 'ready').length;
  if (serving === 0) return ['not-ready', 'Not ready: no worker serves.'];
  if (serving < workers.length) return ['ready', `Ready, but only ${serving} of ${workers.length} workers serve.`];
  return ['ready', 'Ready'];
}

function show() {
  const sample = state.phase === 'told' ? state.history.at(-1) : undefined;
  const stats = sample?.stats;
  const [mark, sentence] = stateOf(sample);
  document.body.dataset.state = mark;
  document.title = `wspool: ${mark}`;
  setText(byId('state'), sentence);
  setText(byId('as-of'), sample
    ? `Figures of ${sample.time.toLocaleTimeString()}, up ${duration(number(stats, 'uptime'))}` : '');
  byId('token-form').hidden = state.phase !== 'locked';
  byId('figures').hidden = state.phase === 'locked' || state.phase === 'asking';

  const [current, max] = [number(stats, 'connections', 'current'), number(stats, 'connections', 'max')];
  setText(byId('connections'), count(current));
  setText(byId('connections-max'), count(max));
  byId('connections-meter').hidden = current === null || !max;
  byId('connections-meter').max = max || 1;
  byId('connections-meter').value = current ?? 0;
  setText(byId('connections-peak'), count(number(stats, 'connections', 'peak')));
  setText(byId('waiting'), count(total(stats?.waiting)));
  setText(byId('oldest-wait'), duration(number(stats, 'oldestWait')));
  setText(byId('queued'), count(number(stats, 'messages', 'queued')));
  setText(byId('outbox'), bytes(number(stats, 'bytes', 'outbox')));
  setText(byId('groups'), count(number(stats, 'groups')));

  const now = sample?.at ?? performance.now();
  for (const chart of charts) {
    setText(chart.value, chart.write(sample ? sample.shown[chart.id] : null));
    drawChart(chart, now);
  }
  fill('workers', sample ? workerRows(sample, state.history.at(-2)) : null);
  fill('seats', sample ? seatRows(stats) : null);
  byId('pools-section').hidden = members(stats?.pools).length < 2;
  fill('pools', sample ? poolRows(stats) : null);
  fill('ends', sample ? endRows(sample) : null);
  showGroups();
}

// ---- asking

class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

async function ask(path, time) {
  const response = await fetch(path, {
    headers: state.token === null ? {} : { Authorization: `Bearer ${state.token}` },
    cache: 'no-store',
    signal: AbortSignal.timeout(time),
  });
  const answer = await response.json().catch((error) => {
    if (error.name === 'TimeoutError') throw error;
    return null;
  });
  if (!response.ok) throw new Refusal(response.status, at(answer, 'error', 'message') ?? `status ${response.status}.`);
  if (!answer?.result) throw new Error('what came is no answer of a gateway.');
  return answer.result;
}

function describe(error) {
  if (error.name === 'TimeoutError') return 'it takes too long.';
  return error instanceof TypeError ? 'the control API cannot be reached.' : error.message;
}

function take(sample) {
  // Another life of the gateway began at zero: there is nothing to compare.
  const before = state.history.at(-1);
  if (before && number(sample.stats, 'uptime') < number(before.stats, 'uptime')) state.history = [];
  sample.shown = Object.fromEntries(charts.map((chart) => [
    chart.id, chart.isLevel ? chart.of(sample) : rate(state.history.at(-1), sample, chart.of)]));
  state.history.push(sample);
  state.history = state.history.filter((one) => one.at >= sample.at - span);
}

async function askForGroups() {
  state.groupsDue = Infinity;
  const groups = await ask(`api/groups?limit=${groupsAsked}`, groupsPatience).catch(() => null);
  // The figures may have gone while this was under way.
  const isTold = state.phase === 'told';
  state.groups = isTold ? groups : null;
  state.groupsDue = isTold ? performance.now() + groupsPeriod : 0;
  show();
}

async function askForFigures() {
  try {
    const [stats, workers] = await Promise.all([ask('api/stats', patience), ask('api/workers', patience)]);
    take({ at: performance.now(), time: new Date(), stats, workers });
    enter('told');
  } catch (error) {
    if (error.status === 401) {
      enter('locked', state.token === null ? 'The control API asks for its token.' : 'The token was refused.');
      keepToken(null);
    } else {
      enter('silent', describe(error));
    }
  }
  show();
  if (state.phase === 'locked') byId('token').focus();
  if (state.phase === 'told' && performance.now() >= state.groupsDue) askForGroups();
}

// The next question waits for the answer to the last one: a slow gateway is not asked more than it can answer.
async function watch() {
  for (;;) {
    const begun = performance.now();
    if (state.phase !== 'locked') await askForFigures();
    await new Promise((resolve) => { setTimeout(resolve, Math.max(0, begun + period - performance.now())); });
  }
}

byId('token-form').addEventListener('submit', (event) => {
  event.preventDefault();
  const token = byId('token').value.trim();
  byId('token').value = '';
  // Other characters cannot be sent in a header.
  if (!/^[\x20-\x7e]+$/.test(token)) {
    enter('locked', 'The token was refused.');
  } else {
    keepToken(token);
    enter('asking');
  }
  show();
});

charts.forEach(makeChart);
show();
watch();
