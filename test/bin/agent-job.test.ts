// Which Node the command of a checkout runs on, what it says where there is none, and which program it runs.
import { spawnSync } from "node:child_process"
import { chmodSync, cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { afterEach, beforeEach, describe, expect, it } from "vitest"

let root = ""
beforeEach(() => {
  root = realpathSync(mkdtempSync(join(tmpdir(), "checkout-")))
  cpSync("bin/agent-job", join(root, "bin", "agent-job"))
  writeFileSync(join(root, "package.json"), "")
  mkdirSync(join(root, "src"))
  mkdirSync(join(root, "dist"))
  writeFileSync(join(root, "dist", "main.cjs"), "")
})
afterEach(() => rmSync(root, { recursive: true }))

/** Makes a program there that says its version, or else where it is. */
const fakeNode = (path: string, version = "v24.21.0") => {
  mkdirSync(join(root, dirname(path)), { recursive: true })
  writeFileSync(join(root, path), `#!/bin/sh\nif [ "$1" = --version ]; then echo ${version}; else echo ran ${path} on "\${2##*/}"; fi\n`)
  chmodSync(join(root, path), 0o755)
}
const asked = () => {
  const { status, stderr, stdout } = spawnSync(join(root, "bin", "agent-job"), ["version"], {
    encoding: "utf8",
    env: { PATH: `${join(root, "path")}:/usr/bin:/bin` }
  })
  return { status, said: stdout + stderr }
}
const architecture = process.arch === "arm64" ? "arm64" : "x64"

describe("the command of a checkout", () => {
  it.each([
    ["the link that npm makes", ["node_modules/.bin/node", `node_modules/node-linux-${architecture}/bin/node`]],
    ["Node's package where npm makes no link", [`node_modules/node-linux-${architecture}/bin/node`, "path/node"]],
    ["the Node in PATH where there is no package for this machine", ["path/node", "node_modules/node-linux-riscv64/bin/node"]]
  ])("runs on %s", (_, programs) => {
    mkdirSync(join(root, "node_modules"))
    programs.forEach((program) => fakeNode(program))
    expect(asked()).toEqual({ status: 0, said: `ran ${programs[0]} on main.cjs\n` })
  })

  it.each(["src/main.ts", "package.json"])("runs the sources once %s is newer than the bundle, which has its text", (path) => {
    fakeNode("node_modules/.bin/node")
    writeFileSync(join(root, path), "")
    utimesSync(join(root, path), new Date(), new Date(Date.now() + 60_000))
    expect(asked()).toEqual({ status: 0, said: "ran node_modules/.bin/node on main.ts\n" })
  })

  it("says that node_modules is missing, whatever PATH has", () => {
    fakeNode("path/node")
    expect(asked()).toEqual({
      status: 2,
      said: `error: ${root}/node_modules is missing; run 'scripts/packages --no-cluster' there, or 'make run'\n`
    })
  })
  it("says that it has no Node, and how old that in PATH is", () => {
    mkdirSync(join(root, "node_modules"))
    fakeNode("path/node", "v20.20.2")
    const { said, status } = asked()
    expect(status).toBe(2)
    expect(said).toMatch(
      /node_modules has no Node for this machine \(Linux \w+\), and that of PATH is 20\.20\.2; install Node 24 or newer/u
    )
  })
})
