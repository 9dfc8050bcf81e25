// Secrets that are easy to find go into a run and into an AgentTask, whose engines print them in many forms. The test looks for them in
// everything that somebody reads of an installation: logs, objects, events, metrics, answers and a bundle. What is for the state is not asked.
import { randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { assert, describe } from "vitest"
import { controllerHealthPort } from "../../src/core/task/places.ts"
import type { AgentTask } from "../../src/schema/task/agent-task.ts"
import { sings, songsOf } from "../canary.ts"
import { kubectl, podWithLog, productNamespace, taskNamespace, untilOver } from "./cluster.ts"
import { inline } from "./configurations.ts"
import { agentJob, it } from "./product.ts"
import { required } from "./server.ts"

const canaryOf = (voice: string) => `canary-${voice}-${randomBytes(8).toString("hex")}`
const canaries = { sung: canaryOf("sung"), hummed: canaryOf("hummed"), whispered: canaryOf("whispered") }

/** The secrets themselves. Their ends are written otherwise in URLs, JSON and HCL, and what is looked for is before them. */
const secretOf = (canary: string) => `${canary}"&/+`

const printed = (name: string) => `[var.${name}, base64encode(var.${name}), urlencode(var.${name}), jsonencode({ said = var.${name} })]`

/** Prints its variables while it is planned and applied, one of them as the key of a resource too, and fails with an error that names both. */
const failing = {
  "main.tf": `
variable "sung" {}
variable "hummed" {}
resource "terraform_data" "prints" {
  for_each = toset([var.sung])
  input    = [${printed("sung")}, ${printed("hummed")}]
}
resource "terraform_data" "fails" {
  depends_on = [terraform_data.prints]
  provisioner "local-exec" {
    command     = file("\${path.module}/script.sh")
    environment = { SUNG = var.sung }
  }
}
`,
  "script.sh": `
echo "the environment has $TF_VAR_hummed"
printf %s "$TF_VAR_hummed" | base64
printf 'Error: cannot log in as %s with %s\\n' "$SUNG" "$TF_VAR_hummed" >/proc/$PPID/fd/1
exit 3
`
}

/** Fails with an error that shows the variable twice: in the sentence of the configuration, and where the engine says what it is. */
const invalid = inline(`
variable "whispered" {
  validation {
    condition     = var.whispered == ""
    error_message = "It is \${var.whispered}.\\nIts base64 is \${base64encode(var.whispered)}."
  }
}
`)

const said = async (...args: ReadonlyArray<string>) => {
  const { stderr, stdout } = await agentJob(...args)
  return stdout + stderr
}

/** All but Secrets. */
const kinds = "atasks,jobs,pods,events,networkpolicies,persistentvolumeclaims,configmaps,leases"

const inProduct = (...args: ReadonlyArray<string>) => kubectl(["--namespace", productNamespace, ...args])

/** Returns the Pods of a component: those of the doctor come and go. */
const podsOf = async (component: string) => {
  const name = "--output=jsonpath={.items[*].metadata.name}"
  return (await inProduct("get", "pods", `--selector=app.kubernetes.io/component=${component}`, name)).split(" ")
}
const logOf = (pod: string) => inProduct("logs", pod, "--all-containers")
const metricsOf = (controller: string) =>
  kubectl(["get", `--raw=/api/v1/namespaces/${productNamespace}/pods/${controller}:${controllerHealthPort}/proxy/metrics`])

/** What is read, by what it is called. */
type Read = readonly [place: string, text: string]

/** Returns what the containers and the metrics of the installation say. */
const installation = async (): Promise<ReadonlyArray<Read>> => {
  const [controllers, servers] = await Promise.all([podsOf("controller"), podsOf("server")])
  return Promise.all([
    ...[...controllers, ...servers].map(async (pod): Promise<Read> => [`the log of ${pod}`, await logOf(pod)]),
    ...controllers.map(async (pod): Promise<Read> => [`the metrics of ${pod}`, await metricsOf(pod)]),
    fetch(`${required("AGENT_JOB_URL")}/metrics`).then(async (answer): Promise<Read> => ["the metrics of the server", await answer.text()])
  ])
}

/** Returns what the objects of both namespaces say, and the containers of these tasks. */
const cluster = (tasks: ReadonlyArray<AgentTask>): Promise<ReadonlyArray<Read>> =>
  Promise.all([
    ...[taskNamespace, productNamespace].map(async (namespace): Promise<Read> => [
      `the objects in ${namespace}`,
      await kubectl(["--namespace", namespace, "get", kinds, "--output=json"])
    ]),
    ...tasks.map(async (task): Promise<Read> => [
      `the Pod of ${task.metadata.name}`,
      await kubectl(["logs", await podWithLog(task), "--all-containers"])
    ])
  ])

describe.concurrent("secrets that an engine prints", () => {
  it("are in no log, status, event, error, metric, answer or bundle", async ({ scene }) => {
    const values = await scene.directory({ sung: secretOf(canaries.sung), hummed: secretOf(canaries.hummed) })
    const set = (name: string, ...flags: ReadonlyArray<string>) => agentJob("vars", "set", scene.name, name, "--sensitive", ...flags)
    assert.deepInclude(await set("sung", "--from-file", join(values, "sung")), { code: 0, stderr: "" })
    assert.deepInclude(await set("TF_VAR_hummed", "--env", "--from-file", join(values, "hummed")), { code: 0, stderr: "" })
    const secret = `${scene.name}-whispered`
    await scene.create(
      `secret/${secret}`,
      JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata: { name: secret }, stringData: { key: secretOf(canaries.whispered) } })
    )
    const variables = [{ name: "whispered", valueFrom: { secretKeyRef: { name: secret, key: "key" } } }]
    const [{ report, told: live }, ofGit] = await Promise.all([
      scene.run(failing, "--auto-approve"),
      scene.task({ stage: "plan", source: invalid, variables }).then((name) => untilOver(name))
    ])
    const { run } = report
    const tasks = [ofGit, ...await Promise.all([untilOver(`${run.id}-plan`), untilOver(`${run.id}-apply`)])]

    const bundle = join(values, "bundle.tar.gz")
    const made = await said("bundle", bundle)
    const read = new Map<string, string>([
      ["the live log", live],
      ["the report of the run", JSON.stringify(report)],
      ["the run", await said("get", run.id, "-o", "json")],
      ["the stored log", await said("logs", run.id)],
      ["the audit trail", await said("get", "audit", "-o", "json")],
      ["the variables", await said("vars", "list", scene.name, "-o", "json")],
      ...await cluster(tasks),
      ...await installation(),
      ["the bundle", `${made}${gunzipSync(readFileSync(bundle)).toString("latin1")}`]
    ])
    const songs = Object.values(canaries).flatMap(songsOf)
    assert.deepStrictEqual([...read].flatMap(([place, text]) => sings(text, songs).map((song) => `${place} has ${song}`)), [])

    // Each place has what stands beside a secret, so that it would have that too.
    const failure = "tofu apply failed with exit code 1: cannot log in as *** with ***; the log has the details."
    assert.isTrue(run.failure?.startsWith(failure), run.failure)
    assert.notInclude(run.failure ?? "", "in doubt") // what has a secret as its key is found in the state all the same
    for (const place of ["the live log", "the stored log", `the Pod of ${run.id}-apply`, "the bundle"]) {
      assert.include(read.get(place), "the environment has ***", place)
    }
    assert.include(read.get(`the Pod of ${ofGit.metadata.name}`), "It is ***.")
    assert.include(read.get("the bundle"), `runs/${run.id}/apply.log`)
    for (const place of ["the run", `the objects in ${taskNamespace}`]) assert.include(read.get(place), failure, place)
    assert.include(read.get("the audit trail"), run.id)
    for (const [place, text] of read) if (place.startsWith("the metrics")) assert.include(text, "agent_job_build_info", place)
  })
})
