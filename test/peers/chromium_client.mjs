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

async function openTab({ name, url }) {
  const page = await (await browser.newContext()).newPage();
  await page.exposeFunction('report', (value) => report('page', name, { value }));
  tabs.set(name, page);
  await page.goto(url);
}

async function typeInTab({ name, text }) {
  const field = tabs.get(name).locator('input');
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
    default: throw new Error(`unknown command ${command.op}`);
  }
}

report('ready');
for await (const line of createInterface({ input: process.stdin })) await run(JSON.parse(line));
await browser.close();
process.exit(0);
