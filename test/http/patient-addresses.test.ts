// How long an address of a host may take: long enough for the second try of a connection whose first packet was lost.
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import { connect, type LookupFunction } from "node:net"
import { afterAll } from "vitest"
import "../../src/http/patient-addresses.ts"
import { until } from "../until.ts"

const listener = `const server = require("node:net").createServer((socket) => socket.on("error", () => {}).end("here"))
server.listen({ host: "127.0.0.1", port: 0, backlog: 1 }, () => console.log(server.address().port))`
const child = spawn(process.execPath, ["-e", listener])
afterAll(() => void child.kill("SIGKILL"))

/** Reports whether a connection to the port waits for its first answer (SYN_SENT). */
const isUnanswered = (port: number): boolean =>
  readFileSync("/proc/net/tcp", "utf8").includes(`:${port.toString(16).toUpperCase().padStart(4, "0")} 02 `)

it.live("an address that answers late is waited for, where the other one of the host cannot be reached", () =>
  Effect.gen(function*() {
    const port = yield* Effect.promise(() => new Promise<number>((resolve) => child.stdout.once("data", (said) => resolve(Number(said)))))
    child.kill("SIGSTOP")
    for (const _ of ["the two", "that it keeps"]) {
      yield* Effect.promise(() => new Promise((resolve) => connect(port, "127.0.0.1").once("connect", resolve)))
    }
    const heard = new Promise<string>((resolve, reject) => {
      const lookup: LookupFunction = (_, __, answer) =>
        answer(null, [{ address: "127.0.0.1", family: 4 }, { address: "127.0.0.2", family: 4 }])
      connect({ host: "server.example.test", port, lookup }).once("data", (said) => resolve(String(said))).once(
        "error",
        reject
      )
    })
    yield* until(() => isUnanswered(port))
    child.kill("SIGCONT")
    expect(yield* Effect.promise(() => heard)).toBe("here")
  }))
