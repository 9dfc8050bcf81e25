import { expect, layer } from "@effect/vitest"
import { Effect, Fiber, Option } from "effect"
import { listTasks, showTaskLog } from "../../../src/cli/cluster/tasks.ts"
import { Sha256 } from "../../../src/schema/names.ts"
import { createTask, finish, getTask, runController, TaskCluster, Tasks, untilStatus } from "../../controller/task-cluster.ts"
import { kubectl } from "../../kustomize/api-server.ts"
import { run } from "../program.ts"
import { toldScreen } from "../told-screen.ts"

const at = (namespace: string) => ({ context: Option.none(), namespace })
const environment = { KUBECONFIG: process.env.KUBECONFIG ?? "" }

layer(TaskCluster, { excludeTestServices: true })("AgentTasks on the command line", (it) => {
  it.effect("are listed, shown and cancelled without a server", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const inNamespace = ["--namespace", namespace]
      expect(yield* run(["get", "tasks", ...inNamespace], environment)).toMatchObject({
        code: 0,
        out: expect.stringMatching(new RegExp(`^No AgentTasks in namespace ${namespace}[.;]`, "u"))
      })
      yield* createTask("one")
      const { out } = yield* run(["get", "tasks", ...inNamespace], environment)
      expect(out.replace(/\d+s$/mu, "AGE")).toBe([
        "NAME   WORKSPACE   STAGE   PHASE     CHANGES   REASON   AGE",
        "one    demo        plan    Pending   -         -        AGE",
        ""
      ].join("\n"))
      expect(JSON.parse((yield* run(["get", "one", "-o", "json", ...inNamespace], environment)).out)).toMatchObject({
        kind: "AgentTask",
        metadata: { name: "one" },
        spec: { workspace: "demo" }
      })
      expect((yield* run(["get", "tasks", "-o", "yaml", ...inNamespace], environment)).out).toMatch(
        /^apiVersion: v1\nkind: List\nitems:\n/u
      )
      expect(yield* run(["cancel", "one", ...inNamespace], environment)).toEqual({
        code: 0,
        out: "AgentTask one is asked to stop; see how it ends with: agent-job get one --namespace " + namespace + "\n",
        error: ""
      })
      expect((yield* getTask("one")).spec.cancel).toBe(true)
    }))

  it.effect("that follow their source are cancelled after their end too, since they would make attempts for ever", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const cancel = (name: string) => run(["cancel", name, "--namespace", namespace], environment)
      const onChange = "plan" as const
      yield* createTask("follower", { source: { fluxSource: { kind: "GitRepository", name: "infra", onChange } } })
      yield* createTask("single")
      for (const name of ["follower", "single"]) yield* finish(name)
      expect((yield* cancel("single")).error).toBe("error: AgentTask single is Succeeded already; there is nothing to cancel.\n")
      expect(yield* cancel("follower")).toMatchObject({ code: 0, out: expect.stringContaining("AgentTask follower is asked to stop") })
      expect((yield* getTask("follower")).spec.cancel).toBe(true)
      expect((yield* cancel("follower")).error).toBe("error: AgentTask follower is Succeeded already; there is nothing to cancel.\n")
    }))

  it.effect("that follow from another are cancelled after their end too, while they would be applied or made again", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const cancel = (name: string) => run(["cancel", name, "--namespace", namespace], environment)
      const { metadata: { name, uid } } = yield* createTask("owner")
      const ownerReferences = [{ apiVersion: "scalr.io/v1", kind: "AgentTask", name, uid, controller: true }]
      const source = { fluxSource: { kind: "GitRepository" as const, name: "infra" } }
      const ends = {
        planned: { planDigest: Sha256.make("0".repeat(64)), hasChanges: true },
        unchanged: { planDigest: Sha256.make("0".repeat(64)), hasChanges: false },
        disrupted: { outcome: "failed", reason: "Evicted" },
        failed: { outcome: "failed", reason: "ExitCode" }
      } as const
      for (const [name, end] of Object.entries(ends)) {
        yield* createTask(name, { source, savePlan: { claimName: "plans" } }, { ownerReferences })
        yield* finish(name, end)
      }
      for (const name of ["planned", "disrupted"]) {
        expect(yield* cancel(name)).toEqual({
          code: 0,
          out: `AgentTask ${name} is over, and is neither applied nor made again by itself any more, unless that has begun.\n`,
          error: ""
        })
        expect((yield* getTask(name)).spec.cancel).toBe(true)
      }
      for (const name of ["planned", "unchanged", "failed"]) {
        expect((yield* cancel(name)).error).toMatch(/ already; there is nothing to cancel\.\n$/u)
      }
    }))

  it.effect("whose cancel somebody else keeps as false are not cancelled, and it says who does", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      const spec = { workspace: "demo", stage: "plan", cancel: false, source: { inline: { "main.tf": "" } } }
      const task = { apiVersion: "scalr.io/v1", kind: "AgentTask", metadata: { name: "in-git", namespace }, spec }
      yield* Effect.promise(() => kubectl(["apply", "--server-side", "--field-manager=git", "-f", "-"], JSON.stringify(task)))
      const { code, error } = yield* run(["cancel", "in-git", "--namespace", namespace], environment)
      expect([code, error]).toEqual([
        1,
        expect.stringMatching(
          /^error: AgentTask in-git is not cancelled, because somebody else sets its spec\.cancel \(.*"git".*\); set it to true there, such as in Git\.\n$/u
        )
      ])
      expect((yield* getTask("in-git")).spec.cancel).toBe(false)
    }))

  it.effect("that are not there are exit code 3", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      for (const command of ["get", "logs", "cancel"]) {
        const { code, error } = yield* run([command, "nope", "--namespace", namespace], environment)
        expect([command, code, error]).toEqual([
          command,
          3,
          `error: There is no AgentTask nope in namespace ${namespace}; \`agent-job get tasks -n ${namespace}\` lists them.\n`
        ])
      }
    }))

  it.effect("have no log before they run, and -f says what they wait for until they are over", () =>
    Effect.gen(function*() {
      const { namespace } = yield* Tasks
      yield* createTask("two")
      const { code, error } = yield* run(["logs", "two", "--namespace", namespace], environment)
      expect([code, error]).toEqual([
        1,
        `error: AgentTask two has no log, since nothing ran for it (Pending); see kubectl -n ${namespace} describe atask two.\n`
      ])
      yield* runController()
      const screen = toldScreen()
      const following = yield* Effect.forkChild(Effect.flip(showTaskLog(at(namespace), "two", true).pipe(Effect.provide(screen.layer))))
      yield* untilStatus("two", ({ phase }) => phase === "Starting")
      yield* screen.until("Starting")
      yield* run(["cancel", "two", "--namespace", namespace], environment)
      expect((yield* Fiber.join(following)).message).toContain("AgentTask two has no log, since nothing ran for it (Cancelled: ")
      const again = yield* run(["cancel", "two", "--namespace", namespace], environment)
      expect([again.code, again.error]).toEqual([1, "error: AgentTask two is Cancelled already; there is nothing to cancel.\n"])
      expect((yield* listTasks(at(namespace))).tasks.map(({ status }) => status.phase)).toContain("Cancelled")
    }))
})
