// An application with all that lives: a page, a WebSocket that echoes, events without end, an upload that is counted.
// `node live_application.cjs PORT`; it knows nothing of who stands before it.
"use strict";

const http = require("http");
const { WebSocketServer } = require("ws");

const PAGE = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>Live</title><link rel="icon" href="data:,"></head>
<body>
<p id="who"></p><p id="socket"></p><p id="closed"></p><p id="event"></p><p id="lost"></p><p id="upload"></p>
<script>
const say = (id, text) => (document.getElementById(id).textContent = text);
const socket = new WebSocket(location.origin.replace(/^http/, "ws") + "/socket");
socket.onopen = () => socket.send("hello from the browser");
socket.onmessage = (event) => say("socket", event.data);
socket.onclose = (event) => say("closed", event.code + " " + event.reason);
const events = new EventSource("/events");
events.onmessage = (event) => say("event", event.data);
events.onerror = () => say("lost", "lost");
fetch("/upload", { method: "POST", body: new Uint8Array(5000000) })
  .then((answer) => answer.json())
  .then((answer) => { say("upload", answer.bytes); say("who", answer.who); });
</script>
</body></html>`;

const server = http.createServer((request, response) => {
  if (request.url === "/events") {
    response.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
    let number = 0;
    const timer = setInterval(() => response.write(`data: ${++number}\n\n`), 50);
    response.on("close", () => clearInterval(timer));
  } else if (request.url === "/upload") {
    let bytes = 0;
    request.on("data", (piece) => (bytes += piece.length));
    request.on("end", () => {
      response.writeHead(200, { "Content-Type": "application/json" });
      response.end(JSON.stringify({ bytes, who: request.headers["x-authentik-username"] }));
    });
  } else {
    response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" });
    response.end(PAGE);
  }
});

new WebSocketServer({ server, path: "/socket" }).on("connection", (socket) => {
  socket.on("error", () => {});
  socket.on("message", (data, isBinary) => socket.send(data, { binary: isBinary }));
});

server.listen(Number(process.argv[2]), "127.0.0.1");
process.on("SIGTERM", () => process.exit(0));
