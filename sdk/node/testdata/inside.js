// What only a look inside shows: a setting's secret is known once.
const assert = require("node:assert");
const fs = require("node:fs");
const Module = require("node:module");
const path = require("node:path");

const file = path.join(__dirname, "rekey.js"), inside = new Module(file);
inside._compile(fs.readFileSync(file, "utf8") + "\nmodule.exports = { Service, field, redactor };", file);
const { Service, field, redactor } = inside.exports;

class Users {}

const service = new Service(Users, { verbs: [], abilities: [], config: [field("token", "secret")] }, false);
for (const instance of "abcde") {
  service.Configure({ instance, secrets: { token: { value: Buffer.from("t0p-secret-token") } }, handed: [{ value: Buffer.from("h4nded-secret") }, { value: Buffer.alloc(0) }] });
  service.Close({ instance });
}
assert.deepStrictEqual(redactor.kept.map((secret) => secret.text()).sort(), ["h4nded-secret", "t0p-secret-token"]);
