// What a person is told who cannot start the embedded cluster: one sentence. Nothing is left behind.
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { spawn } from "node:child_process"
import { once } from "node:events"
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { text } from "node:stream/consumers"

/** The scripts run in a copy that every user may read, because root's checkout may be closed to others. */
const place = mkdtempSync(join(tmpdir(), "up-"))
const state = join(place, "state")
const copied = [
  ...["up", "packages", "env.bash"].map((name) => `test/cluster/${name}`),
  ...["cluster", "packages", "place.bash", "run", "server.bash", "steps.bash", "test"].map((name) => `scripts/${name}`)
]

beforeAll(() => {
  for (const file of copied) cpSync(file, join(place, file))
  for (const folder of [place, join(place, "cache")]) {
    mkdirSync(folder, { recursive: true })
    chmodSync(folder, 0o777)
  }
})
afterAll(() => rmSync(place, { recursive: true, force: true }))

interface Told {
  readonly status: number | null
  readonly error: string
}

const start = async (
  script: string,
  given: { readonly path?: string; readonly offset?: number; readonly user?: number }
): Promise<Told> => {
  const child = spawn("bash", [join(place, script), ...(given.offset === undefined ? [] : ["--control-plane"])], {
    env: {
      PATH: given.path ?? process.env.PATH,
      HOME: place,
      CLUSTER_CACHE: join(place, "cache"),
      CLUSTER_STATE: state,
      CLUSTER_PORT_OFFSET: String(given.offset ?? 0)
    },
    stdio: ["ignore", "ignore", "pipe"],
    ...(given.user === undefined ? {} : { uid: given.user, gid: given.user })
  })
  const [error, [status]] = await Promise.all([text(child.stderr), once(child, "close")])
  return { status, error }
}

/** Makes a folder of programs, and returns a PATH in which they come first. */
const programs = (name: string, all: Record<string, string>): string => {
  const folder = join(place, name)
  mkdirSync(folder)
  for (const [program, body] of Object.entries(all)) writeFileSync(join(folder, program), `#!/bin/bash\n${body}\n`, { mode: 0o755 })
  return `${folder}:${process.env.PATH}`
}

describe("starting the embedded cluster", () => {
  const nobody = process.getuid?.() === 0 ? { user: 65534 } : {}

  it("says that a node needs root, and what to do without", async () => {
    const { error, status } = await start("test/cluster/up", nobody)
    assert.strictEqual(status, 2)
    assert.match(error, /^error: the embedded node needs root .*CONTEXT=name.*\n$/u)
    assert.isFalse(existsSync(state))
  })

  it.each(["scripts/cluster", "scripts/run", "scripts/test"])("says so before it installs or builds anything, as %s", async (script) => {
    const { error, status } = await start(script, nobody)
    assert.strictEqual(status, 2)
    assert.match(error, /^error: the embedded node needs root /u)
    assert.deepStrictEqual(["cache/bin", ".cache/logs/packages"].filter((made) => existsSync(join(place, made))), [])
  })

  it("names the port that is in use", async () => {
    const server = createServer().listen(0, "127.0.0.1")
    await once(server, "listening")
    const address = server.address()
    assert.isTrue(address !== null && typeof address !== "string")
    const port = address !== null && typeof address !== "string" ? address.port : 0
    const { error, status } = await start("test/cluster/up", { offset: port - 6443 })
    server.close()
    assert.strictEqual(status, 1)
    assert.match(error, new RegExp(`^error: port ${port} is in use by .*; end that first\\n$`, "u"))
    assert.isFalse(existsSync(state))
  })

  it("says how much disk is missing, and where", async () => {
    const path = programs("full", {
      df: "printf 'Filesystem 1024-blocks Used Available Capacity Mounted on\\n/dev/sda 9999999 9999999 1000 100%% /\\n'"
    })
    const { error, status } = await start("test/cluster/up", { offset: 20_000, path })
    assert.strictEqual(status, 1)
    assert.match(error, /^error: the cluster needs 2 GiB free in .*, and its disk has 0 GiB: make room there\n$/u)
    assert.isFalse(existsSync(state))
  })

  it("says which packages are missing to those who may not install them", async () => {
    const path = programs("bare", { "pkg-config": "exit 1" })
    const { error, status } = await start("test/cluster/packages", { ...nobody, path })
    assert.strictEqual(status, 2)
    assert.match(error, /^error: please install, for the embedded cluster.*libseccomp-dev/u)
  })
})
