// npm ws as a client; commands and events are described in README.md.
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';

const sockets = new Map();

function report(event, name, fields = {}) {
  process.stdout.write(JSON.stringify({ event, name, ...fields }) + '\n');
}

function open({ name, url, subprotocols, headers, deflate }) {
  const socket = new WebSocket(url, subprotocols, { headers, perMessageDeflate: deflate });
  sockets.set(name, socket);
  let isOpen = false;
  socket.on('open', () => {
    isOpen = true;
    report('open', name, { protocol: socket.protocol, extensions: socket.extensions });
  });
  socket.on('unexpected-response', (request, response) => {
    report('refused', name, { status: response.statusCode });
    request.destroy();
  });
  socket.on('message', (data, isBinary) => {
    report('message', name, { data: data.toString('base64'), binary: isBinary });
  });
  socket.on('pong', (data) => report('pong', name, { data: data.toString('base64') }));
  socket.on('error', (error) => process.stderr.write(`ws ${name}: ${error.message}\n`));
  socket.on('close', (code, reason) => {
    if (isOpen) report('closed', name, { code, reason: reason.toString() });
  });
}

function send(socket, { data, binary, fragment }) {
  const bytes = Buffer.from(data, 'base64');
  if (!fragment) {
    socket.send(bytes, { binary });
    return;
  }
  let from = 0;
  do {
    const part = bytes.subarray(from, from + fragment);
    from += fragment;
    socket.send(part, { binary, fin: from >= bytes.length });
  } while (from < bytes.length);
}

function run(command) {
  const socket = sockets.get(command.name);
  switch (command.op) {
    case 'open': return open(command);
    case 'send': return send(socket, command);
    case 'ping': return socket.ping(Buffer.from(command.data, 'base64'));
    case 'close': return socket.close(command.code, command.reason);
    default: throw new Error(`unknown command ${command.op}`);
  }
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => run(JSON.parse(line)));
lines.on('close', () => process.exit(0));
report('ready');
