// Bun's server (uWebSockets inside): /echo echoes, /member subscribes, what /publish sends is published.
const server = Bun.serve({
    hostname: '127.0.0.1',
    port: 0,
    fetch(request, server) {
        const path = new URL(request.url).pathname;
        if (server.upgrade(request, { data: { path } })) return undefined;
        return new Response('WebSocket only', { status: 426 });
    },
    websocket: {
        perMessageDeflate: false,
        open(socket) {
            if (socket.data.path === '/member') socket.subscribe('group');
        },
        message(socket, message) {
            if (socket.data.path === '/publish') {
                socket.publish('group', message);
            } else {
                socket.send(message);
            }
        },
    },
});
console.log(`ready port=${server.port} pid=${process.pid} version=${Bun.version}`);
