// What a check costs in Node: `node wasm/js/costs.mjs target/wasm/pbac.wasm target/wasm/erp.pbac`. Each row is the least of many rounds, in
// which the rows take turns, so that what else runs on the machine falls on all of them.
import { readFileSync } from "node:fs";
import { Core } from "./core.mjs";
import { Pbac } from "./pbac.mjs";

const [modulePath, bundlePath] = process.argv.slice(2);
if (bundlePath === undefined) {
  console.error("usage: node costs.mjs MODULE BUNDLE   (BUNDLE: `pbac bundle build --policy examples/erp/policy.toml`)");
  process.exit(2);
}
const ROUNDS = 2000;
// So few that a round is mostly over before the system gives the processor to somebody else.
const CALLS = 512;
const bytes = readFileSync(modulePath);
const policy = (await Pbac.load(bytes)).policy(readFileSync(bundlePath));
const raw = new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports;

// Questions of many users, as strings that were not looked at before.
const roles = ["PURCHASING_HEAD"];
const questions = Array.from({ length: 1024 }, (_, at) => ({
  user: String(10_000 + at * 7), roles, permission: policy.permissions[(at * 31) % policy.permissions.length],
}));
const sessions = questions.map((question) => policy.session(question));
for (const [at, question] of questions.entries()) {
  const expected = policy.decide(question).decision === "allow";
  if (policy.check(question) !== expected || sessions[at].allows(question.permission) !== expected) throw new Error("a wrong answer is not timed");
}
if (!questions.some(policy.check.bind(policy)) || questions.every(policy.check.bind(policy))) throw new Error("all answers are the same");

const core = new Core(raw, 64 * 1024 * 1024);
const encoder = new TextEncoder();
const input = raw.pbac_input(4096) >>> 0;
const memory = new Uint8Array(raw.memory.buffer, input, 4096);
const clock = () => BigInt(Date.now()) * 1000n;
const batch = { user: "7", roles, permissions: questions.map((question) => question.permission) };

/** Name, and what is done for one question. */
const rows = {
  "an empty call": () => raw.pbac_abi_version(),
  "the copy: the three texts by TextEncoder, and the time": ({ user, permission }) => {
    let at = encoder.encodeInto(user, memory).written;
    memory[at] = roles[0].length;
    at += 4 + encoder.encodeInto(roles[0], memory.subarray(at + 4)).written;
    return encoder.encodeInto(permission, memory.subarray(at)).written + Number(clock() & 1n);
  },
  "the copy as the loader makes it": (question) => core.write(question, question.permission),
  "policy.check": (question) => policy.check(question),
  "policy.decide": (question) => policy.decide(question),
  "policy.session": (question) => policy.session(question),
  "session.allows": (question, at) => sessions[at].allows(question.permission),
};
const least = Object.fromEntries([...Object.keys(rows), "policy.checkAll, of 1,024, each"].map((name) => [name, Infinity]));
let sink = 0;
const time = (name, calls, work) => {
  const start = process.hrtime.bigint();
  work();
  least[name] = Math.min(least[name], Number(process.hrtime.bigint() - start) / calls);
};
for (let round = 0; round < ROUNDS; round++) {
  for (const [name, ask] of Object.entries(rows)) {
    time(name, CALLS, () => {
      for (let call = 0; call < CALLS; call++) sink += Number(Boolean(ask(questions[(call + round) & 1023], (call + round) & 1023)));
    });
  }
  time("policy.checkAll, of 1,024, each", 1024, () => {
    sink += policy.checkAll(batch).length;
  });
}
for (const [name, nanoseconds] of Object.entries(least)) console.log(`${nanoseconds.toFixed(1).padStart(9)} ns  ${name}`);
const [empty, copy, ownCopy] = Object.values(least);
const times = (base) => (least["policy.check"] / (empty + base)).toFixed(2);
console.log(`policy.check is ${times(copy)} times an empty call and the copy by TextEncoder, ${times(ownCopy)} times one and the loader's own (${sink})`);
