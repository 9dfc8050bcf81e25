// A task that cannot work ends soon, with a reason from the closed list and one sentence that says what to do, and runs nothing.
import { createHash } from "node:crypto"
import { afterAll, assert, beforeAll, describe } from "vitest"
import { archiveOf } from "../server/live-server.ts"
import { manifestOf, podLog, productNamespace, tryKubectl, untilOver, untilTask } from "./cluster.ts"
import { harmless, inline } from "./configurations.ts"
import { it } from "./product.ts"
import { startWeb, type Web } from "./web.ts"

const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")
const good = archiveOf({ "main.tf": harmless.inline["main.tf"] })
const outside = archiveOf({ "main.tf": harmless.inline["main.tf"], "../../escaped.tf": "" })
const noArchive = Buffer.from("<html>Not found</html>")

let web: Web
beforeAll(async () => {
  web = await startWeb({ "good.tar.gz": good, "outside.tar.gz": outside, "no-archive.tar.gz": noArchive })
})
afterAll(() => web.end())

const archive = (name: string, bytes: Uint8Array) => ({ archive: { url: web.url(name), sha256: sha256(bytes) } })

/** Asserts that the log has no command of the engine. The worker's question for the engine's version is never logged as a command. */
const assertNoCommand = (log: string) => assert.notInclude(log, "$ tofu")

describe.concurrent("an AgentTask whose configuration", () => {
  it("has a syntax error is InvalidConfiguration, in the engine's words", async ({ scene }) => {
    const { status } = await untilOver(await scene.task({ stage: "plan", source: inline("resource \"terraform_data\" \"one\" {\n") }))
    assert.deepInclude(status, {
      phase: "Failed",
      reason: "InvalidConfiguration",
      message: "tofu init failed: Unclosed configuration block; correct the configuration, the log has the details."
    })
  })

  it("wants a provider that cannot be had is ProviderMissing", async ({ scene }) => {
    const { status } = await untilOver(
      await scene.task({
        stage: "plan",
        source: inline("terraform {\n  required_providers {\n    nowhere = { source = \"example/nowhere\" }\n  }\n}\n")
      })
    )
    assert.deepInclude(status, {
      phase: "Failed",
      reason: "ProviderMissing",
      message: "tofu init cannot install the provider example/nowhere; put it in the runner's mirror, or let the Pod reach its registry."
    })
  })

  it("would keep its state in the Pod is refused before it is applied", async ({ scene }) => {
    const task = await untilOver(await scene.task({ stage: "apply", source: harmless }))
    assert.deepInclude(task.status, {
      phase: "Failed",
      reason: "InvalidConfiguration",
      message:
        "The configuration has no backend for its state, so it would be deleted with the Pod; give the configuration a backend, or set spec.backend."
    })
    assert.notInclude(await podLog(task), "$ tofu apply")
  })

  it("is an archive by URL is fetched, checked and planned", async ({ scene }) => {
    const { status } = await untilOver(await scene.task({ stage: "plan", source: archive("good.tar.gz", good) }))
    assert.deepInclude(status, { phase: "Succeeded", reason: "Completed" })
    assert.deepStrictEqual(status.result?.changes, { add: 1, change: 0, destroy: 0 })
  })

  it("is an archive of another digest is DigestMismatch, and no command is started", async ({ scene }) => {
    const task = await untilOver(await scene.task({ stage: "plan", source: archive("good.tar.gz", outside) }))
    assert.deepInclude(task.status, { phase: "Failed", reason: "DigestMismatch" })
    assert.include(task.status.message, sha256(outside).slice(0, 12))
    assertNoCommand(await podLog(task))
  })

  it("is an archive that leads outside is InvalidArchive, and no command is started", async ({ scene }) => {
    const task = await untilOver(await scene.task({ stage: "plan", source: archive("outside.tar.gz", outside) }))
    assert.deepInclude(task.status, { phase: "Failed", reason: "InvalidArchive" })
    assert.include(task.status.message, "../../escaped.tf")
    assertNoCommand(await podLog(task))
  })

  it("is no archive at all is InvalidArchive", async ({ scene }) => {
    const { status } = await untilOver(await scene.task({ stage: "plan", source: archive("no-archive.tar.gz", noArchive) }))
    assert.deepInclude(status, { phase: "Failed", reason: "InvalidArchive" })
  })

  it("is at a URL that has nothing says which", async ({ scene }) => {
    const { status } = await untilOver(await scene.task({ stage: "plan", source: archive("missing.tar.gz", good) }))
    assert.deepInclude(status, { phase: "Failed", reason: "InvalidConfiguration" })
    assert.strictEqual(
      status.message,
      `The archive cannot be fetched from ${web.url("missing.tar.gz")} (it answers 404); check the URL of the source and the network.`
    )
  })

  it("refers to a Secret that comes later starts once it is there", async ({ scene }) => {
    const secret = `${scene.name}-late`
    const variables = [{ name: "TF_VAR_password", category: "env", valueFrom: { secretKeyRef: { name: secret, key: "password" } } }]
    const name = await scene.task({ stage: "plan", source: harmless, variables })
    await untilTask(name, "waits for the Secret", ({ status }) => status.reason === "InvalidConfiguration")
    await scene.create(
      `secret/${secret}`,
      JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata: { name: secret }, stringData: { password: "open sesame" } })
    )
    const { status } = await untilOver(name)
    assert.deepInclude(status, { phase: "Succeeded", reason: "Completed" }, status.message)
  })

  it("finds the disk full is DiskFull", async ({ scene }) => {
    const { code, report: { run }, told } = await scene.run({
      "main.tf":
        "resource \"terraform_data\" \"large\" {\n  provisioner \"local-exec\" {\n    command = \"echo large >/dev/full\"\n  }\n}\n"
    }, "--auto-approve")
    assert.strictEqual(code, 1)
    assert.strictEqual(run.stages[1]?.result?.reason, "DiskFull")
    assert.match(
      run.failure ?? "",
      /^tofu apply ran out of disk space: .+; if it was the Pod's volume, let tasks request ephemeral-storage, or give their nodes larger disks\. Look at the state before the next run\.$/u
    )
    assert.include(told, run.failure ?? "")
  })
})

describe.concurrent("an AgentTask whose pool", () => {
  it("refuses its token is TokenRefused, and no command is started", async ({ scene }) => {
    const secret = `${scene.name}-token`
    await scene.create(
      `secret/${secret}`,
      JSON.stringify({ apiVersion: "v1", kind: "Secret", metadata: { name: secret }, stringData: { token: "not-a-token" } })
    )
    const spec = {
      workspace: scene.name,
      stage: "plan",
      source: { pool: { archiveSha256: sha256(good) } },
      pool: { url: `http://agent-job-server.${productNamespace}.svc:8080`, runId: "run-none2345", tokenSecret: { name: secret } }
    }
    const name = `${scene.name}-task`
    await scene.create(`atask/${name}`, manifestOf(name, spec), `system:serviceaccount:${productNamespace}:agent-job`) // nobody else may make a task of a pool
    const task = await untilOver(name)
    assert.deepInclude(task.status, { phase: "Failed", reason: "TokenRefused" })
    assertNoCommand(await podLog(task))
    await untilTask(task.metadata.name, "is settled with a pool that never heard of it", ({ status }) => status.reportedAt !== undefined)
  })
})

describe.concurrent("an AgentTask whose runner", () => {
  it("has no such engine is EngineMissing", async ({ scene }) => {
    const task = await untilOver(await scene.task({ stage: "plan", engine: { name: "terraform" }, source: harmless }))
    assert.deepInclude(task.status, {
      phase: "Failed",
      reason: "EngineMissing",
      message: "The runner image has no terraform in its PATH; use an image that has it."
    })
  })

  it("has another version of the engine is InvalidConfiguration", async ({ scene }) => {
    const { status } = await untilOver(await scene.task({ stage: "plan", engine: { name: "tofu", version: "0.1.0" }, source: harmless }))
    assert.deepInclude(status, { phase: "Failed", reason: "InvalidConfiguration" })
    assert.match(
      status.message ?? "",
      /^The runner image has tofu \d+\.\d+\.\d+, but the task asks for 0\.1\.0; use another image or leave engine\.version out\.$/u
    )
  })

  it("has too little memory is OutOfMemory", async ({ scene }) => {
    const resources = { limits: { memory: "64Mi" }, requests: { memory: "64Mi" } }
    const million = "output \"many\" { value = length(flatten([for _ in range(1024) : [for number in range(1024) : tostring(number)]])) }\n"
    const { status } = await untilOver(await scene.task({ stage: "plan", source: inline(million), jobTemplate: { runner: { resources } } }))
    assert.deepInclude(status, { phase: "Failed", reason: "OutOfMemory" })
    assert.match(status.message ?? "", /raise task\.runner\.resources\.limits\.memory\.$/u)
  })

  it("is an image with an impossible name is ImagePull at once", async ({ scene }) => {
    const { status } = await untilOver(
      await scene.task({ stage: "plan", source: harmless, jobTemplate: { runner: { image: "Not A Name" } } })
    )
    assert.deepInclude(status, { phase: "Failed", reason: "ImagePull" })
    assert.match(
      status.message ?? "",
      /^Container runner can never get its image; correct its name or its pull policy: .*Not A Name.* Nothing was run\.$/u
    )
  })
})

describe.concurrent("the API server refuses", () => {
  const { inline: files } = harmless
  const refused = [
    {
      what: "two sources",
      spec: { source: { inline: files, configMap: { name: "other" } } },
      says: "exactly one of inline, archive, configMap, fluxSource, savedPlan, pool"
    },
    { what: "no source", spec: { source: {} }, says: "exactly one of inline, archive, configMap, fluxSource, savedPlan, pool" },
    {
      what: "a source of the pool without a pool",
      spec: { source: { pool: { archiveSha256: sha256(good) } } },
      says: "source.pool and pool go together"
    },
    {
      what: "a saved plan for a plan",
      spec: { source: { inline: files }, plan: { sha256: sha256(good) } },
      says: "a plan stage makes a saved plan and cannot be given one"
    },
    {
      what: "an unknown stage",
      spec: { stage: "taint", source: { inline: files } },
      says: "supported values: \"plan\", \"apply\", \"destroy\""
    }
  ]
  for (const { says, spec, what } of refused) {
    it(`an AgentTask with ${what}`, async ({ scene }) => {
      const { code, stderr } = await tryKubectl(
        ["create", "--filename=-"],
        manifestOf(`${scene.name}-refused`, { workspace: scene.name, stage: "plan", ...spec })
      )
      assert.strictEqual(code, 1)
      assert.include(stderr.toLowerCase(), says.toLowerCase())
    })
  }

  it("a change of what a task runs", async ({ scene }) => {
    const name = await scene.task({ stage: "plan", source: harmless, cancel: true })
    const { code, stderr } = await tryKubectl(["patch", "atask", name, "--type=merge", "--patch", "{\"spec\":{\"stage\":\"destroy\"}}"])
    assert.strictEqual(code, 1)
    assert.include(stderr, "spec is immutable but for cancel; make a new AgentTask instead")
  })
})
