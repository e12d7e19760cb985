// A CSMS of OCPP 1.6 on the `ocpp-rpc` package in strict mode: every call and answer, in both
// directions, has to fit the schemas that the package brings.
//
// It is driven by lines of JSON: what happens goes to stdout, what to do comes from stdin.
//
//   {"kind":"listening","port":1}      {"do":"ask","id":1,"action":"Reset","payload":{}}
//   {"kind":"call","action","payload"} {"do":"close"}   hang up, and listen no more
//   {"kind":"answer","id","payload"}   {"do":"open"}    listen again on the same port
//   {"kind":"error","id","code"}
//   {"kind":"link"}  {"kind":"violation","what"}

import { createRequire } from "node:module";
import { createServer } from "node:http";
import { createInterface } from "node:readline";

// The packages lie in the directory that the test has installed them in.
const { RPCServer } = createRequire(process.argv[2] + "/")("ocpp-rpc");

const say = (event) => process.stdout.write(JSON.stringify(event) + "\n");
const accepted = { status: "Accepted" };
let transactions = 0;

const answers = {
  Authorize: () => ({ idTagInfo: accepted }),
  BootNotification: () => ({
    status: "Accepted",
    currentTime: new Date().toISOString(),
    interval: 60,
  }),
  DataTransfer: () => accepted,
  Heartbeat: () => ({ currentTime: new Date().toISOString() }),
  SignCertificate: () => accepted,
  StartTransaction: () => ({ transactionId: ++transactions, idTagInfo: accepted }),
};

let station = null;
let http = null;
let port = 0;

function attend(client) {
  station = client;
  client.on("strictValidationFailure", ({ error }) => say({ kind: "violation", what: String(error) }));
  client.on("badMessage", ({ error }) => say({ kind: "violation", what: String(error) }));
  client.handle(({ method, params }) => {
    const answer = (answers[method] ?? (() => ({})))();
    say({ kind: "call", action: method, payload: params, answer });
    return answer;
  });
  say({ kind: "link" });
}

const server = new RPCServer({ protocols: ["ocpp1.6"], strictMode: true, pingIntervalMs: 5000 });
server.auth((accept) => accept());
server.on("client", attend);

function open() {
  http = createServer();
  http.on("upgrade", server.handleUpgrade);
  http.listen(port, "127.0.0.1", () => {
    port = http.address().port;
    say({ kind: "listening", port });
  });
}

async function ask({ id, action, payload }) {
  try {
    say({ kind: "answer", id, payload: await station.call(action, payload) });
  } catch (error) {
    say({ kind: "error", id, code: error.rpcErrorCode ?? String(error) });
  }
}

const work = {
  ask,
  open,
  close: () => {
    http.close();
    station?.close({ code: 1001, reason: "maintenance", force: true });
  },
};

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const order = JSON.parse(line);
    work[order.do](order);
  })
  .on("close", () => process.exit(0));
open();
