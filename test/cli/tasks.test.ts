// What the commands for AgentTasks say of answers that no installation of ours gives: tasks that are not there, or not known at all.
import { describe, expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { type Answer, ScriptedServer } from "../kubernetes/scripted-server.ts"
import { typed } from "./typed.ts"

/** A cluster that answers by the path it is asked for, reached as through kubectl proxy. */
const cluster = Effect.fnUntraced(function*(answers: Readonly<Record<string, Answer>>, otherwise: Answer) {
  const { server, url } = yield* ScriptedServer.make
  server.route = (path) => answers[path] ?? otherwise
  const directory = yield* Effect.acquireRelease(Effect.sync(() => mkdtempSync(join(tmpdir(), "kubeconfig-"))), (made) => Effect.sync(() => rmSync(made, { recursive: true })))
  writeFileSync(join(directory, "config"), JSON.stringify({
    apiVersion: "v1", kind: "Config", "current-context": "here",
    clusters: [{ name: "c", cluster: { server: url } }], users: [{ name: "u", user: {} }], contexts: [{ name: "here", context: { cluster: "c", user: "u" } }]
  }))
  return (...args: ReadonlyArray<string>) => typed({ KUBECONFIG: join(directory, "config") }, ...args)
})

/** As an API server says it of a kind that it does not have. */
const unknown: Answer = (response) => void response.writeHead(404, { "content-type": "text/plain" }).end("404 page not found\n")
const status = (code: number, reason: string, message: string): Answer => ({ status: code, body: { kind: "Status", apiVersion: "v1", status: "Failure", code, reason, message } })

describe("AgentTasks", () => {
  it.live("that the cluster does not know are told so, with exit code 3", () =>
    Effect.gen(function*() {
      const agentJob = yield* cluster({}, unknown)
      for (const args of [["get", "tasks"], ["get", "one"], ["logs", "one"], ["cancel", "one"]]) {
        expect(yield* agentJob(...args)).toEqual({ code: 3, out: "", said: "error: AgentTasks are not known in the cluster of the current context: agent-job is not installed there; install it, or name another cluster with --context." })
      }
      expect((yield* agentJob("get", "tasks", "--context", "here")).said).toContain("in the cluster of context here: ")
    }))

  it.live("that are not there name the list of those that are", () =>
    Effect.gen(function*() {
      const agentJob = yield* cluster({}, status(404, "NotFound", "atasks.scalr.io \"one\" not found"))
      for (const command of ["get", "logs", "cancel"]) {
        expect(yield* agentJob(command, "one", "-n", "team")).toEqual({ code: 3, out: "", said: "error: There is no AgentTask one in namespace team; `agent-job get tasks -n team` lists them." })
      }
    }))
})
