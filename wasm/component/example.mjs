// Asks a policy by way of the component: `node wasm/component/example.mjs POLICY.pbac USER PERMISSION`, after
// `scripts/wasm component`. The policy is a bundle, as `pbac bundle` writes it.
import { readFileSync } from "node:fs";
import { policies } from "../../target/wasm/component/pbac.js";

const [file, user, permission] = process.argv.slice(2);
if (permission === undefined) {
  console.error("usage: node wasm/component/example.mjs POLICY.pbac USER PERMISSION");
  process.exit(2);
}
const policy = policies.Policy.load(readFileSync(file));
const now = BigInt(Date.now()) * 1000n;
const { answer, role, pattern } = policy.decide(user, { tag: "stored" }, permission, now);
console.log([answer, role && `role ${role}`, pattern && `pattern ${pattern}`].filter(Boolean).join(", "));
process.exitCode = answer.startsWith("allowed") ? 0 : 1;
