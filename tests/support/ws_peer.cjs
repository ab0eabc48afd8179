// Node's `ws` on either side of a relay. `server PORT`: echoes messages; `close:CODE:REASON` has it close like that,
// `flood` has it say more than anybody takes, until it is closed.
// `client URL COOKIE PLAN`: sends what the plan (JSON) lists, prints one JSON line of what came back.
"use strict";

const { WebSocket, WebSocketServer } = require("ws");

const PIECE = Buffer.alloc(1 << 20);

function flood(socket) {
  for (let count = 0; count < 8; count++) socket.send(PIECE);
  socket.send(PIECE, (error) => error || flood(socket));
}

function serve(port) {
  const protocols = (offered) => (offered.has("garrison") ? "garrison" : false);
  const server = new WebSocketServer({
    host: "127.0.0.1",
    port,
    handleProtocols: protocols,
    maxPayload: 64 * 1024 * 1024,
    perMessageDeflate: { threshold: 0 },
  });
  server.on("connection", (socket, request) => {
    socket.on("error", () => {});
    socket.on("message", (data, isBinary) => {
      const text = isBinary ? "" : data.toString();
      const close = /^close:(\d+):(.*)$/.exec(text);
      if (close) socket.close(Number(close[1]), close[2]);
      else if (text === "flood") flood(socket);
      else if (text === "headers") socket.send(JSON.stringify(request.headers));
      else socket.send(data, { binary: isBinary });
    });
  });
  process.on("SIGTERM", () => process.exit(0));
}

function play(url, cookie, plan) {
  const socket = new WebSocket(url, plan.protocols, {
    headers: { Cookie: cookie, ...(plan.host && { Host: plan.host }) },
    perMessageDeflate: plan.deflate ?? true,
    maxPayload: 64 * 1024 * 1024,
    handshakeTimeout: 5000,
  });
  const seen = { messages: [], pongs: 0, code: null, reason: "", protocol: "", extensions: "", status: 0 };
  const expected = plan.texts.length + plan.sizes.length;
  const done = () => seen.messages.length === expected && seen.pongs === 1;
  const finish = () => done() && (plan.last ? socket.send(plan.last) : socket.close(1000, "done"));
  socket.on("unexpected-response", (_request, response) => {
    seen.status = response.statusCode;
    socket.terminate();
  });
  socket.on("error", (error) => (seen.error = error.message));
  socket.on("open", () => {
    seen.protocol = socket.protocol;
    seen.extensions = socket.extensions;
    socket.ping("are you there?");
    for (const text of plan.texts) socket.send(text);
    for (const size of plan.sizes) {
      // In three frames, so that a relay that counts messages by frames is found out.
      const third = Math.ceil(size / 3);
      socket.send(Buffer.alloc(third, 1), { fin: false, binary: true });
      socket.send(Buffer.alloc(third, 2), { fin: false });
      socket.send(Buffer.alloc(Math.max(0, size - 2 * third), 3), { fin: true });
    }
  });
  socket.on("pong", () => {
    seen.pongs += 1;
    finish();
  });
  socket.on("message", (data, isBinary) => {
    seen.messages.push(isBinary ? data.length : data.toString());
    finish();
  });
  socket.on("close", (code, reason) => {
    seen.code = code;
    seen.reason = reason.toString();
    console.log(JSON.stringify(seen));
  });
}

const [role, ...rest] = process.argv.slice(2);
if (role === "server") serve(Number(rest[0]));
else play(rest[0], rest[1], JSON.parse(rest[2]));
