#!/usr/bin/env node
// A backend of the bank of bank_test.go: it lies as its argument says.
const fs = require("node:fs");
const net = require("node:net");
const { spawn } = require("node:child_process");
const { Applied, Lost, Refused, field, serve } = require("./rekey.js");

const lie = process.argv[2];

class Liar {
  constructor(config) { this.port = Number(config.address.split(":")[1]); }

  // Calls each with what the bank says, until it returns true.
  async ask(op, what, value, each) {
    const left = Math.min(op.left(), 20000); // a list has no deadline
    return new Promise((resolve, reject) => {
      const conn = net.connect({ host: "127.0.0.1", port: this.port });
      let text = "", asked = false;
      const say = (words) => conn.write(JSON.stringify(words) + "\n");
      const cut = () => { conn.destroy(); reject(new (asked ? Lost : Refused)(asked ? "ConnectionLost" : "Unreachable", "cut")); };
      conn.setTimeout(left, cut).on("error", cut).on("close", cut).on("connect", () => say({ Do: "hello" }));
      conn.on("data", (data) => {
        text += data;
        for (let end; (end = text.indexOf("\n")) >= 0; text = text.slice(end + 1)) {
          if (!asked) { asked = true; op.sent(); say({ Do: what, Account: op.account, Value: value }); continue; }
          if (each(JSON.parse(text.slice(0, end)))) { resolve(); conn.destroy(); return; }
        }
      });
    });
  }

  async one(op, what, value = "") {
    let told;
    await this.ask(op, what, value, (answer) => { told = answer; return true; });
    return told;
  }

  async set(op) {
    if (lie === "child") spawn("/bin/sleep", ["60"], { detached: true, stdio: "ignore" }).unref();
    if (lie === "file" && op.value.text().startsWith("Zq8-")) fs.writeFileSync("/tmp/rekey-kit-" + op.id, op.value.text().slice(4));
    let answer;
    try { answer = await this.one(op, "set", op.value.text()); } catch (error) {
      if (lie === "cut" && error instanceof Lost) throw new Refused("ConnectionLost", "cut");
      throw error;
    }
    if (!answer.OK) throw new Refused("AccountNotFound", "no such account");
    return new Applied({ stamp: lie === "stamp" ? "same" : answer.Stamp });
  }

  async verify(op) {
    let answer;
    try { answer = await this.one(op, "verify", op.value.text()); } catch (error) {
      if (lie === "verify") return false;
      throw error;
    }
    if (!answer.Name) throw new Refused("AccountNotFound", "no such account");
    return answer.OK;
  }

  async find(op) {
    let answer;
    try { answer = await this.one(op, "find"); } catch (error) {
      throw lie === "find" ? new Refused("AccountNotFound", "no such account") : error;
    }
    if (!answer.OK) throw new Refused("AccountNotFound", "no such account");
    return { account: op.account, id: op.account };
  }

  async list(op) {
    const all = [];
    try {
      await this.ask(op, "list", "", (answer) => answer.Last || !all.push({ account: answer.Name, id: answer.Name }));
    } catch (error) {
      if (lie !== "list") throw error;
    }
    return all;
  }
}

serve(Liar, { name: "liar", version: "1", summary: "lies", replay_safe: ["set"], egress: [lie === "egress" ? "{port}" : "{address}"],
  config: [field("address", "string", { required: true, doc: "where the bank is" })] });
