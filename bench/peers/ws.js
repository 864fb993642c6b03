// npm ws on Node: /echo echoes, /member is a member of the one group, and what /publish sends is sent to
// every member in a loop.
'use strict';
const { WebSocketServer } = require('ws');
const { version } = require('ws/package.json');

const members = new Set();
const server = new WebSocketServer({ host: '127.0.0.1', port: 0, backlog: 4096 });

server.on('connection', (socket, request) => {
    socket.on('error', () => socket.terminate());
    if (request.url === '/member') {
        members.add(socket);
        socket.on('close', () => members.delete(socket));
    }
    const publishes = request.url === '/publish';
    socket.on('message', (data, binary) => {
        if (!publishes) {
            socket.send(data, { binary });
            return;
        }
        for (const member of members) member.send(data, { binary });
    });
});
server.on('listening', () => {
    const { port } = server.address();
    console.log(`ready port=${port} pid=${process.pid} version=${version}/node-${process.versions.node}`);
});
