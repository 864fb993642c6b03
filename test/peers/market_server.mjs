// npm ws as a source of prices: one price for each subscription, at once; see README.md. With an argument
// it listens on that port.
import { WebSocketServer } from 'ws';

const server = new WebSocketServer({ host: '127.0.0.1', port: Number(process.argv[2] ?? 0) });
server.on('connection', (socket) => {
  socket.on('message', (data) => {
    const message = JSON.parse(data);
    if (message.type === 'subscribe') socket.send(JSON.stringify({ symbol: message.symbol, price: 1 }));
  });
  socket.on('error', (error) => process.stderr.write(`market server: ${error.message}\n`));
});
server.on('listening', () => process.stdout.write(`${server.address().port}\n`));
process.stdin.on('end', () => process.exit(0));
process.stdin.resume();
