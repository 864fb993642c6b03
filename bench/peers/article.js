// The server of the article "How to Handle WebSocket Connection Pooling", one worker, on Node with npm ws.
// Its listing is not part of this project: it is taken at run time from the article's text, which
// WSPOOL_SEED_ARTICLE names, and run unchanged. Only the port is chosen here (the listing cannot be
// asked for port 0), and the message to its cluster master goes nowhere.
'use strict';
const fs = require('fs');
const http = require('http');
const os = require('os');
const path = require('path');

function extractListing(article) {
    const listing = /^```javascript\n(\/\/ server-pool\.js[^]*?)^```$/m.exec(article);
    if (!listing) throw new Error('the article has no JavaScript listing that begins with "// server-pool.js"');
    return listing[1];
}

const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'wspool-bench-'));
process.on('exit', () => fs.rmSync(folder, { recursive: true, force: true }));
for (const signal of ['SIGTERM', 'SIGINT']) process.on(signal, () => process.exit(0));

const file = path.join(folder, 'server-pool.js');
fs.writeFileSync(file, extractListing(fs.readFileSync(process.env.WSPOOL_SEED_ARTICLE, 'utf8')));
fs.symlinkSync(path.join(__dirname, 'node_modules'), path.join(folder, 'node_modules'));
const { WebSocketServerPool } = require(file);

process.send = () => true;
const listen = http.Server.prototype.listen;
http.Server.prototype.listen = function (port, done) {
    return listen.call(this, { host: '127.0.0.1', port: 0, backlog: 4096 }, () => {
        done();
        console.log(`ready port=${this.address().port} pid=${process.pid} version=node-${process.versions.node}`);
    });
};
new WebSocketServerPool({ workers: 1 }).startWorker();
