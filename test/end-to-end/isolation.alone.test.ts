// What keeps a task to itself where the values ask for it: policies that this node enforces, and a user namespace, which it supports.
// While this file runs, the controller has these values. Their policies come one after the other, so that each test knows what was open before.
import { Schema } from "effect"
import { readdir, readFile } from "node:fs/promises"
import { createServer } from "node:http"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { afterAll, assert, beforeAll, describe } from "vitest"
import { kubectl, ownNode, taskNamespace, taskOf } from "./cluster.ts"
import { scripted } from "./configurations.ts"
import { diagnose } from "./doctor.ts"
import { run } from "./process.ts"
import { agentJob, it, type Scene } from "./product.ts"
import { changeValues, currentLayers } from "./values.ts"
import { startWeb, type Web } from "./web.ts"

/**
 * Where AWS gives the containers of its ECS their credentials. The policies close it as they close 169.254.169.254, and this machine can do
 * without it for a while: it is no such container if it is the cluster's node.
 */
const metadata = new URL("http://169.254.170.2/")

/** Addresses for documentation (RFC 5737), in place of two in the internet: the component names the second, at this port. */
const internet = new URL("http://198.51.100.7/")
const named = new URL("http://192.0.2.7:443/")

/** Serves at the address, on this machine, which is the node. Returns a function that ends this and takes the address away. */
const serveAt = async ({ hostname, port }: URL, text: string): Promise<() => Promise<void>> => {
  const address = async (verb: string) => {
    const { code, stderr } = await run("ip", ["address", verb, `${hostname}/32`, "dev", "lo"])
    if (code !== 0) throw new Error(`ip address ${verb} ended with ${code}: ${stderr}`)
  }
  await address("replace")
  const server = createServer((_, response) => response.end(text))
  await new Promise<void>((resolve, reject) => server.once("error", reject).listen(Number(port || 80), hostname, resolve)).catch(
    async (error) => {
      await address("del")
      throw error
    }
  )
  return async () => {
    await new Promise((resolve) => server.close(resolve).closeAllConnections())
    await address("del")
  }
}

const Anything = Schema.Record(Schema.String, Schema.Unknown)
const Rendered = Schema.Struct({
  kind: Schema.String,
  metadata: Schema.StructWithRest(Schema.Struct({ name: Schema.String, namespace: Schema.optionalKey(Schema.String) }), [Anything])
})
const Listed = Schema.Struct({ items: Schema.Array(Schema.StructWithRest(Rendered, [Anything])) })
const decodeList = Schema.decodeUnknownSync(Schema.fromJsonString(Listed))

/** Writes the values of the controller for a command that is given values. Returns their folder. */
const valuesIn = async (scene: Scene): Promise<string> => scene.directory(await currentLayers())

/** Returns the policies that an installation with the values of the controller has for its tasks, without those that are there already. */
const policiesOf = async (scene: Scene): Promise<string> => {
  const { stderr, stdout } = await agentJob("render", "--values", await valuesIn(scene), "-o", "json")
  assert.notStrictEqual(stdout, "", stderr)
  const there = (await kubectl(["get", "networkpolicies", "--output=name"])).split("\n")
  const isMissing = ({ kind, metadata: { name, namespace } }: typeof Rendered.Type) =>
    kind === "NetworkPolicy" && namespace === taskNamespace && !there.some((_) => _.endsWith(`/${name}`))
  const items = decodeList(stdout).items.filter(isMissing)
  return JSON.stringify({ apiVersion: "v1", kind: "List", items })
}

/** Returns the policies that the component brings for tasks. */
const policiesIn = async (component: string): Promise<string> => {
  const folder = fileURLToPath(new URL(`../../kustomize/components/${component}/`, import.meta.url))
  const names = (await readdir(folder)).filter((name) => /^network-policy-.*-tasks\.yaml$/u.test(name))
  return (await Promise.all(names.map((name) => readFile(join(folder, name), "utf8")))).join("\n---\n")
}

/** Takes the installation's policies away from its tasks. Returns a function that brings them back. */
const takePolicies = async () => {
  const items = decodeList(await kubectl(["get", "networkpolicies", "--output=json"])).items.map(({ metadata, ...rest }) => ({
    ...rest,
    metadata: { name: metadata.name, labels: metadata["labels"] }
  }))
  await kubectl(["delete", "networkpolicies", "--all"])
  return async () =>
    void await kubectl(["apply", "--server-side", "--filename=-"], JSON.stringify({ apiVersion: "v1", kind: "List", items }))
}

/** Applies the policies for the length of a test. */
const enforce = async (policies: string, onTestFinished: (undo: () => Promise<void>) => void) => {
  onTestFinished(async () => {
    await kubectl(["delete", "--ignore-not-found", "--filename=-"], policies)
  })
  await kubectl(["apply", "--filename=-"], policies)
}

let web: Web
/** Starts the Pod that tasks try to reach. Returns a function that ends it. */
const startListener = async () => {
  web = await startWeb({ secret: Buffer.from("what another Pod serves") })
  return web.end
}

/** Runs a plan and an apply, which tries what nobody should reach. Returns what it found there, and its users as the node knows them. */
const tries = async (scene: Scene) => {
  const ask = (what: string, { hostname, pathname, port }: URL) =>
    `echo "${what} answers: $(printf 'GET ${pathname} HTTP/1.0\\r\\n\\r\\n' | nc -w 2 ${hostname} ${port || 80} 2>&1 | tail -n 1)"\n`
  const asked = ask("metadata", metadata) + ask("pod", new URL(web.url("secret"))) + ask("internet", internet) + ask("named", named)
  const { code, report: { run } } = await scene.run(
    scripted(`${asked}echo "users: $(cat /proc/self/uid_map)"\n`),
    "--auto-approve"
  )
  assert.strictEqual(code, 0, run.failure)
  const { stdout } = await agentJob("logs", run.id, "--stage", "apply", "--no-color")
  const said = (what: string) => new RegExp(` ${what}: (.*)`, "u").exec(stdout.replaceAll(/.*Executing:.*/gu, ""))?.[1] ?? ""
  const reached = {
    service: said("metadata answers"),
    pod: said("pod answers"),
    internet: said("internet answers"),
    named: said("named answers")
  }
  return { id: run.id, reached, users: said("users") }
}

const refused = /^nc: /u

const ofInternet = { internet: "what anybody serves", named: "what one is named for" }

describe.runIf(ownNode)("a task", () => {
  const undo: Array<() => Promise<void>> = []
  beforeAll(async () => {
    const change = { restrictMetadataService: true, task: { networkPolicy: { denyIngress: true, denyPods: true }, userNamespaces: true } }
    const starting = [
      serveAt(metadata, "credentials of the node"),
      serveAt(internet, ofInternet.internet),
      serveAt(named, ofInternet.named),
      changeValues(change),
      startListener(),
      takePolicies()
    ].map(async (started) => undo.push(await started))
    await Promise.allSettled(starting) // so that what one has changed can be undone where another fails
    await Promise.all(starting)
  })
  afterAll(async () => {
    await Promise.all(undo.map((end) => end()))
  })

  it("plans and applies in a user namespace, and reaches without policies what the values are to close, as the doctor says", async ({ scene }) => {
    const [{ id, reached, users }, { code, found }] = await Promise.all([tries(scene), diagnose("--values", await valuesIn(scene))])
    assert.match(users, /^\s*0\s+[1-9]\d{4,}\s+65536$/u)
    for (const stage of ["plan", "apply"]) {
      const { status } = await taskOf(`${id}-${stage}`)
      assert.strictEqual(await kubectl(["get", "pod", status.pod?.name ?? "", "--output=jsonpath={.spec.hostUsers}"]), "false")
    }
    assert.deepStrictEqual(reached, { service: "credentials of the node", pod: "what another Pod serves", ...ofInternet })
    assert.strictEqual(code, 1)
    assert.strictEqual(found["user namespaces"], "ok: the only node for tasks supports them")
    assert.match(found["metadata services are closed to tasks"] ?? "", /^failed: a task's Pod reaches 169\.254\.170\.2:80, /u)
    assert.match(found["other Pods are closed to tasks"] ?? "", /^failed: a task's Pod reaches another Pod, though .*denyPods is true/u)
    assert.match(
      found["tasks are closed to other Pods"] ?? "",
      /^failed: another Pod connects to one like a task's, though .*denyIngress is true/u
    )
  })

  it("reaches neither under the policies of restrictMetadataService and denyPods, but the internet, succeeds, and the doctor calls it proven", async ({ onTestFinished, scene }) => {
    await enforce(await policiesOf(scene), onTestFinished)
    const [{ reached: { pod, service, ...rest } }, { code, found }] = await Promise.all([
      tries(scene),
      diagnose("--values", await valuesIn(scene))
    ])
    assert.match(service, refused)
    assert.match(pod, refused)
    assert.deepStrictEqual(rest, ofInternet)
    assert.deepInclude(found, {
      "network policies are enforced": "ok: of two identical Pods, the one that a policy isolates reaches nothing",
      "metadata services are closed to tasks": "ok: no metadata service answered, a policy closes them, and policies are enforced",
      "other Pods are closed to tasks": "ok: a task's Pod does not reach a Pod that listens, and policies are enforced",
      "tasks are closed to other Pods":
        "ok: no other Pod of its namespace connects to one like a task's, no policy lets others in, and policies are enforced"
    })
    assert.match(found["tasks reach what they need"] ?? "", /^ok: /u)
    assert.strictEqual(code, 0)
  })

  it("reaches under the component restricted-egress of all that only what it names, and succeeds", async ({ onTestFinished, scene }) => {
    await enforce(await policiesIn("restricted-egress"), onTestFinished)
    const { reached: { named, ...rest } } = await tries(scene)
    assert.strictEqual(named, ofInternet.named)
    for (const said of Object.values(rest)) assert.match(said, refused)
  })
})
