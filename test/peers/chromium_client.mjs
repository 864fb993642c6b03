// Chromium as a client: the sockets of `open` live in one blank page, those of `tab` in pages that a
// server of the test's own delivers. Commands and events are described in README.md.
import { createInterface } from 'node:readline';
import { chromium } from 'playwright-core';

const flags = [
  '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
  '--disable-background-networking', '--disable-component-update', '--disable-sync',
];

function report(event, name, fields = {}) {
  process.stdout.write(JSON.stringify({ event, name, ...fields }) + '\n');
}

// Runs inside the page.
function openInPage({ name, url, subprotocols }) {
  const encode = (bytes) => {
    let text = '';
    for (let at = 0; at < bytes.length; at += 8192) {
      text += String.fromCharCode(...bytes.subarray(at, at + 8192));
    }
    return btoa(text);
  };
  window.sockets ??= {};
  const socket = new WebSocket(url, subprotocols);
  window.sockets[name] = socket;
  socket.binaryType = 'arraybuffer';
  let isOpen = false;
  socket.onopen = () => {
    isOpen = true;
    window.report('open', name, { protocol: socket.protocol, extensions: socket.extensions });
  };
  socket.onmessage = ({ data }) => {
    const binary = typeof data !== 'string';
    const bytes = binary ? new Uint8Array(data) : new TextEncoder().encode(data);
    window.report('message', name, { data: encode(bytes), binary });
  };
  socket.onclose = ({ code, reason }) => {
    if (isOpen) window.report('closed', name, { code, reason });
    else window.report('refused', name, { status: 0 });
  };
}

// Runs inside the page.
function sendInPage({ name, data, binary }) {
  const bytes = Uint8Array.from(atob(data), (character) => character.charCodeAt(0));
  window.sockets[name].send(binary ? bytes : new TextDecoder().decode(bytes));
}

const browser = await chromium.launch({
  executablePath: process.env.WSPOOL_CHROMIUM ?? '/usr/bin/chromium',
  headless: true,
  args: flags,
});
const blank = await browser.newPage();
await blank.exposeFunction('report', report);
const tabs = new Map();

async function openTab({ name, url, width }) {
  const page = await (await browser.newContext(width ? { viewport: { width, height: 800 } } : {})).newPage();
  await page.exposeFunction('report', (value) => report('page', name, { value }));
  const errors = [];
  const requests = [];
  page.on('console', (message) => { if (message.type() === 'error') errors.push(message.text()); });
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('request', (request) => requests.push(request.url()));
  tabs.set(name, { page, errors, requests });
  await page.goto(url);
}

// Runs inside the page: tells what can be seen of it by id, now and whenever that changes.
function watchInPage() {
  const look = (element) => (element.tagName === 'TBODY'
    ? [...element.rows].map((row) => [...row.cells].map((cell) => cell.innerText)) : element.innerText);
  const tell = () => {
    const seen = [...document.querySelectorAll('[id]')].filter((element) => element.getClientRects().length > 0);
    window.report({
      ...Object.fromEntries(seen.map((element) => [element.id, look(element)])),
      isTooWide: document.documentElement.scrollWidth > document.documentElement.clientWidth,
    });
  };
  const everything = { subtree: true, childList: true, characterData: true, attributes: true };
  new MutationObserver(tell).observe(document.documentElement, everything);
  tell();
}

async function reloadTab({ name }) {
  await tabs.get(name).page.reload();
  report('reloaded', name);
}

function tellRecord({ name }) {
  const { errors, requests } = tabs.get(name);
  report('record', name, { errors, requests });
}

async function typeInTab({ name, text }) {
  const field = tabs.get(name).page.locator('input');
  await field.fill(text);
  await field.press('Enter');
}

async function run(command) {
  switch (command.op) {
    case 'open': return blank.evaluate(openInPage, command);
    case 'send': return blank.evaluate(sendInPage, command);
    case 'close': return blank.evaluate(
      ({ name, code, reason }) => window.sockets[name].close(code, reason), command);
    case 'tab': return openTab(command);
    case 'type': return typeInTab(command);
    case 'watch': return tabs.get(command.name).page.evaluate(watchInPage);
    case 'reload': return reloadTab(command);
    case 'record': return tellRecord(command);
    default: throw new Error(`unknown command ${command.op}`);
  }
}

report('ready');
for await (const line of createInterface({ input: process.stdin })) await run(JSON.parse(line));
await browser.close();
process.exit(0);
