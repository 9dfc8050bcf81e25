import { expect, it } from "@effect/vitest"
import { spawnSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"

/** Measures before and after `act`, which finds `keep`, an array that lives on; also the whole heap, both in KiB. */
const program = (prepare: string, act: string) => `
  const { readFileSync } = require("node:fs")
  const all = () => readFileSync(process.env.LIVE_HEAP_FILE, "utf8").split("\\n").filter((line) => line !== "")
  const measure = async () => {
    const before = all().length
    process.kill(process.pid, "SIGUSR2")
    while (all().length === before) await new Promise(setImmediate)
    return [Number(all().at(-1)), process.memoryUsage().heapUsed]
  }
  const keep = []
  ${prepare}
  const main = async () => {
    await measure()
    const [kept, used] = await measure()
    ${act}
    await measure()
    const [keptAfter, usedAfter] = await measure()
    console.log(JSON.stringify({ kept: (keptAfter - kept) / 1024, used: (usedAfter - used) / 1024, keeps: keep.length }))
  }
  main()
`

const grownBy = (act: string, prepare = ""): { readonly kept: number; readonly used: number } => {
  const place = mkdtempSync(join(tmpdir(), "live-heap-"))
  const file = join(place, "heap")
  writeFileSync(file, "")
  const preload = fileURLToPath(new URL("live-heap.ts", import.meta.url))
  const args = ["--disable-warning=ExperimentalWarning", "--expose-gc", "--import", preload, "--eval", program(prepare, act)]
  const { stderr, stdout } = spawnSync(process.execPath, args, { encoding: "utf8", env: { ...process.env, LIVE_HEAP_FILE: file } })
  rmSync(place, { recursive: true })
  expect(stderr).toBe("")
  return JSON.parse(stdout)
}

it.each([
  { what: "objects", act: "for (let at = 0; at < 5000; at++) keep.push({ at, next: at + 1 })", atLeast: 150 },
  { what: "texts", act: "for (let at = 0; at < 5000; at++) keep.push(`${at} of some text`.repeat(2).toUpperCase())", atLeast: 200 },
  {
    what: "what a map has",
    act: "const map = new Map(); keep.push(map); for (let at = 0; at < 10000; at++) map.set(at, at)",
    atLeast: 150
  },
  {
    what: "names of fields",
    act: "const all = {}; keep.push(all); for (let at = 0; at < 5000; at++) all[`field ${at}`] = at",
    atLeast: 200
  },
  { what: "functions", act: "for (let at = 0; at < 5000; at++) keep.push(() => at)", atLeast: 300 },
  { what: "promises", act: "for (let at = 0; at < 5000; at++) keep.push(new Promise(() => {}))", atLeast: 200 },
  { what: "bytes", act: "for (let at = 0; at < 10; at++) keep.push(Buffer.alloc(100_000))", atLeast: 900 },
  {
    what: "listeners",
    act:
      "const { signal } = new AbortController(); keep.push(signal); for (let at = 0; at < 5000; at++) signal.addEventListener('abort', () => at)",
    atLeast: 300
  }
])("counts $what that a program keeps", ({ act, atLeast }) => expect(grownBy(act).kept).toBeGreaterThan(atLeast))

it("leaves out what V8 compiles, and what it notes of that", () => {
  const functions = `
    const body = (at) => "return (a, b) => { let sum = " + at + "; for (let i = 0; i < a.length; i++) sum += a[i].f" + at + " + b; return sum }"
    for (let at = 0; at < 300; at++) keep.push({ f: new Function(body(at))(), a: [{ ["f" + at]: 1 }, { ["f" + at]: 2 }] })
  `
  const { kept, used } = grownBy("for (const { f, a } of keep) for (let i = 0; i < 20_000; i++) f(a, i)", functions)
  expect(used).toBeGreaterThan(500)
  expect(kept).toBeLessThan(used / 20)
})

it("leaves out what was beside a buffer that a program keeps", () =>
  expect(
    grownBy("for (let at = 0; at < 5000; at++) { const some = Buffer.from(`text ${at}`.repeat(100)); if (at % 100 === 0) keep.push(some) }")
      .kept
  )
    .toBeLessThan(100))

it("leaves out garbage", () =>
  expect(Math.abs(grownBy("for (let at = 0; at < 100_000; at++) globalThis.last = { at }").kept)).toBeLessThan(50))
