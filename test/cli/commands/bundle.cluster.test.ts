// A bundle of what a real API server has: the fields in which it keeps values, and the rights that reading needs.
import { expect, layer } from "@effect/vitest"
import { Effect } from "effect"
import { execFileSync } from "node:child_process"
import { join } from "node:path"
import { createTask, runController, TaskCluster, Tasks, untilLaunched } from "../../controller/task-cluster.ts"
import { kubectl } from "../../kustomize/api-server.ts"
import { temporaryFolder } from "../../temporary-folder.ts"
import { run } from "../program.ts"

const environment = { KUBECONFIG: process.env.KUBECONFIG ?? "" }

layer(TaskCluster, { excludeTestServices: true, timeout: "5 minutes" })("agent-job bundle", (it) => {
  it.effect("has the objects of an installation, and no value of a variable in any copy that the API server has", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const labels = { "app.kubernetes.io/managed-by": "agent-job", "app.kubernetes.io/component": "task" }
      const written = {
        apiVersion: "v1",
        kind: "List",
        items: [{
          apiVersion: "scalr.io/v1",
          kind: "AgentTask",
          metadata: { name: "one", namespace },
          spec: {
            workspace: "demo",
            stage: "plan",
            source: { inline: { "main.tf": "# hunter2" } },
            variables: [{ name: "password", value: "hunter2", sensitive: true }],
            backend: { type: "pg", config: { conn_str: "postgres://ada:hunter2@db/x" } }
          }
        }, {
          apiVersion: "v1",
          kind: "Pod",
          metadata: { name: "one-x", namespace, labels },
          spec: {
            nodeSelector: { "test/nowhere": "true" },
            containers: [{ name: "worker", image: "none", args: ["hunter2"], env: [{ name: "PASSWORD", value: "hunter2" }] }]
          }
        }]
      }
      yield* Effect.promise(() => kubectl(["apply", "-f", "-"], JSON.stringify(written)))
      yield* runController({ task: { runner: { extraEnv: { PASSWORD: "hunter2" } } } })
      yield* createTask("two")
      yield* untilLaunched("two")
      expect(yield* Effect.promise(() => kubectl(["get", "jobs,pods,atasks", "-n", namespace, "-o", "yaml"]))).toContain("hunter2")

      const file = join(yield* temporaryFolder("bundle"), "made.tar.gz")
      const made = yield* run(["bundle", file, "--controller-namespace", namespace, "--namespace", namespace], environment)
      expect(made).toMatchObject({ code: 0, error: "" })
      const all = execFileSync("tar", ["-xzOf", file]).toString()
      expect(all).not.toContain("hunter2")
      for (const part of ["name: one\n", "name: one-x\n", "name: agent-job-two\n", "name: password\n", "Nothing is missing."]) {
        expect(all).toContain(part)
      }
      expect(yield* run(["bundle", file, "--controller-namespace", namespace, "--namespace", namespace], environment)).toMatchObject({
        code: 2,
        error: `error: ${file} is there already; name another file, or replace it with --force.\n`
      })
    }))
})
