// The Pod of a stage on a real node: what its runner can reach, and what becomes of a second Pod for the same task.
import { Schema } from "effect"
import { assert, describe } from "vitest"
import { follow, kubectl, podLog, productNamespace, release, taskOf, tryKubectl, untilOver } from "./cluster.ts"
import { held, heldApply } from "./configurations.ts"
import { it, type Scene } from "./product.ts"
import { untilFinal } from "./server.ts"

const Container = Schema.Struct({ name: Schema.String, volumeMounts: Schema.Array(Schema.Struct({ mountPath: Schema.String })) })
const ContainerStatus = Schema.Struct({
  name: Schema.String,
  ready: Schema.Boolean,
  state: Schema.Struct({ terminated: Schema.optionalKey(Schema.Struct({ exitCode: Schema.Int })) })
})
const Pod = Schema.Struct({
  metadata: Schema.Struct({ name: Schema.String, uid: Schema.String }),
  spec: Schema.Struct({ containers: Schema.Array(Container), initContainers: Schema.Array(Container) }),
  status: Schema.Struct({
    phase: Schema.String,
    conditions: Schema.optionalKey(Schema.Array(Schema.Struct({ type: Schema.String, status: Schema.String }))),
    containerStatuses: Schema.optionalKey(Schema.Array(ContainerStatus))
  })
})
const decodePod = Schema.decodeUnknownSync(Pod)

const isReady = ({ status: { conditions = [] } }: typeof Pod.Type) =>
  conditions.some(({ status, type }) => type === "Ready" && status === "True")
const workerOf = ({ status: { containerStatuses = [] } }: typeof Pod.Type) => containerStatuses.find(({ name }) => name === "worker")

/** Starts a run and waits until it is in the middle of its apply. Returns the run and the task of the apply. */
const applying = async (scene: Scene) => {
  const started = await scene.startRun(heldApply, "--auto-approve", "--no-color")
  await started.command.says(held)
  return { ...started, task: await taskOf(`${started.id}-apply`) }
}

const Job = Schema.Struct({
  metadata: Schema.Struct({ ownerReferences: Schema.Array(Schema.Unknown) }),
  spec: Schema.Struct({
    podFailurePolicy: Schema.Unknown,
    template: Schema.Struct({
      metadata: Schema.Struct({ labels: Schema.Record(Schema.String, Schema.String) }),
      spec: Schema.Record(Schema.String, Schema.Unknown)
    })
  })
})
const decodeJob = Schema.decodeUnknownSync(Schema.fromJsonString(Job))

/** The controller's account. No other may make a Job that runs as the tasks' account. */
const controller = "system:serviceaccount:agent-job:agent-job"

/** Returns a second Job with the Pod template of the first, as a mistake or a stale controller would make it. */
const copyOf = (json: string, name: string) => {
  const { metadata: { ownerReferences }, spec: { podFailurePolicy, template: { metadata: { labels }, spec } } } = decodeJob(json)
  const own = Object.fromEntries(
    Object.entries(labels).filter(([label]) => !label.includes("controller-uid") && !label.includes("job-name"))
  )
  return JSON.stringify({
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name, ownerReferences },
    spec: { backoffLimit: 0, podFailurePolicy, template: { metadata: { labels: own }, spec } }
  })
}

describe.concurrent("the Pod of a stage", () => {
  it("runs under Pod Security restricted, and its runner reaches neither tokens nor what is the worker's alone", async ({ scene }) => {
    const { task: { status: { pod } } } = await applying(scene)
    const name = pod?.name ?? ""
    for (const namespace of ["agent-job-tasks", productNamespace]) {
      const label = await kubectl([
        "get",
        "namespace",
        namespace,
        "--output=jsonpath={.metadata.labels.pod-security\\.kubernetes\\.io/enforce}"
      ])
      assert.strictEqual(label, "restricted")
    }

    const inRunner = (script: string) => tryKubectl(["exec", name, "--container=runner", "--", "/bin/sh", "-c", script])
    for (const place of ["/var/run/secrets/kubernetes.io/serviceaccount", "/var/run/agent-job", "/var/lib/agent-job"]) {
      const { code, stderr } = await inRunner(`ls ${place}`)
      assert.notStrictEqual(code, 0, place)
      assert.include(stderr, "No such file or directory")
    }
    const processes = await inRunner("cat /proc/[0-9]*/cmdline | tr '\\0' ' '")
    assert.include(processes.stdout, "exec-loop.sh")
    assert.include(processes.stdout, "tofu apply")
    assert.notInclude(processes.stdout, "main.cjs")
    assert.notMatch((await inRunner("cat /proc/1/environ | tr '\\0' '\\n'")).stdout, /token|AGENT_JOB/iu)
    assert.strictEqual((await inRunner("id -u")).stdout.trim(), "1001")

    const seen = decodePod(JSON.parse(await kubectl(["get", "pod", name, "--output=json"])))
    const withToken = [...seen.spec.initContainers, ...seen.spec.containers].filter(({ volumeMounts }) =>
      volumeMounts.some(({ mountPath }) => /serviceaccount|agent-job\/token/u.test(mountPath))
    )
    assert.deepStrictEqual(withToken.map((container) => container.name), ["worker"])
    await kubectl(["wait", "--for=condition=Ready", `pod/${name}`, "--timeout=300s"])
  })

  it("that comes second exits with 75 and runs nothing, and the first one does not notice", async ({ scene }) => {
    const { command, id, task } = await applying(scene)
    const copy = `${scene.name}-copy`
    const manifest = copyOf(await kubectl(["get", "job", task.status.job?.name ?? "", "--output=json"]), copy)
    assert.include(
      (await tryKubectl(["create", "--filename=-"], manifest)).stderr,
      "only the controller makes a Job with the account of tasks"
    )
    await scene.create(`job/${copy}`, manifest, controller)
    const second = await follow("the second Pod is over", ["pods", `--selector=batch.kubernetes.io/job-name=${copy}`], (object) => {
      const pod = decodePod(object)
      assert.isFalse(isReady(pod), "only who has the claim may be ready")
      return workerOf(pod)?.state.terminated === undefined ? undefined : pod
    })
    assert.strictEqual(workerOf(second)?.state.terminated?.exitCode, 75)
    const said = await kubectl(["logs", second.metadata.name, "--container=worker"])
    assert.include(said, `AgentTask ${id}-apply is taken by the Pod with UID ${task.status.pod?.uid}; this Pod runs nothing.`)
    assert.notInclude(said, "tofu")

    await release(id)
    const { code, stdout } = await command.ended
    assert.strictEqual(code, 0)
    assert.include(stdout, "Apply complete! Resources: 3 added, 0 changed, 0 destroyed.")
    assert.notInclude(stdout, "Interrupt")
    const run = await untilFinal(id)
    assert.deepInclude(run.stages[1]?.result, { outcome: "succeeded", reason: "Completed", statePushed: true })
    const over = await untilOver(`${id}-apply`)
    assert.deepStrictEqual(over.status.claim, task.status.claim)
    assert.include(await podLog(over), "Apply complete!")
  })
})
