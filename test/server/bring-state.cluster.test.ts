// The way in for a state that another place keeps, and the way out for outputs, as docs/state.md tells them: blocks and commands are read there.
// The engine and the server are real.
import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { execFile } from "node:child_process"
import { mkdirSync, readFileSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import { promisify } from "node:util"
import { statePath } from "../../src/schema/api/state.ts"
import { ask, directory, person, readToken, serve, userToken } from "./live-server.ts"

const docs = readFileSync("docs/state.md", "utf8")
const sectionOf = (title: string) => new RegExp(`^## ${title}\n(.*?)^## `, "msu").exec(docs)?.[1] ?? ""
const blockOf = (section: string) => /```hcl\n(.*?)```/su.exec(section)?.[1] ?? ""
const section = sectionOf("Bring an existing state")
const block = blockOf(section)
const exec = promisify(execFile)

/** Runs a command of the docs, as a shell would in that directory. */
const shell = (directory: string, command: string, env: Record<string, string> = {}) =>
  Effect.promise((signal) =>
    exec("sh", ["-ec", command], {
      cwd: directory,
      signal,
      env: { PATH: `${resolve("bin")}:${process.env["PATH"]}`, HOME: directory, AGENT_JOB_TOKEN: userToken, ...env }
    })
  )

/** Returns the commands of the section that begin so, as one script. */
const commands = (pattern: RegExp, file: string) =>
  [...section.matchAll(/^ {4,7}(\S.*)$/gmu)].map(([, line = ""]) => line).filter((line) => pattern.test(line)).join("\n")
    .replaceAll("/tmp/prod.tfstate", file)

it.live("a state that was applied elsewhere is brought by the block and the commands of the docs", () =>
  Effect.gen(function*() {
    const url = yield* serve(yield* directory)
    const made = yield* directory
    const [old, empty, file] = [join(made, "old"), join(made, "empty"), join(made, "prod.tfstate")]
    for (const folder of [old, empty]) mkdirSync(folder)
    writeFileSync(join(old, "main.tf"), `resource "terraform_data" "a" {}\n`)
    yield* shell(old, "tofu init && tofu apply -auto-approve")
    yield* shell(old, commands(/^tofu state pull/u, file))
    writeFileSync(join(empty, "backend.tf"), block.replaceAll("https://server.example.com", url))
    yield* shell(empty, commands(/^(?:export|tofu init|tofu state push)/u, file))
    const { lineage } = JSON.parse(readFileSync(file, "utf8"))
    const brought = (workspace: string) => Effect.map(ask(`${url}/api/state/v1/workspaces/${workspace}`, userToken), ({ json }) => json)
    expect(yield* brought("prod")).toMatchObject({ resources: [{ name: "a" }] }) // tofu gives it a lineage of its own where there was no state
    const push = commands(/^agent-job state push prod \S+$/u, file).replace("prod", "other")
    yield* shell(old, push, { AGENT_JOB_URL: url })
    expect(yield* brought("other")).toMatchObject({ lineage, resources: [{ name: "a" }] })
    const { json } = yield* person(url).as("GET", statePath.state("prod"))
    expect(json.lock).toBeUndefined()
  }))

it.live(
  "the outputs of a workspace are read by the block of the docs with a token that only reads, and sensitive ones are not there",
  () =>
    Effect.gen(function*() {
      const url = yield* serve(yield* directory)
      const made = yield* directory
      const [network, app] = [join(made, "network"), join(made, "app")]
      for (const folder of [network, app]) mkdirSync(folder)
      const secret = `output "secret" {\n  value     = "hush"\n  sensitive = true\n}\n`
      writeFileSync(join(network, "main.tf"), `output "vpc_id" {\n  value = "vpc-1"\n}\n${secret}`)
      const push = "agent-job state push network terraform.tfstate"
      yield* shell(network, `tofu init && tofu apply -auto-approve && ${push}`, { AGENT_JOB_URL: url })
      const read = `output "all" {\n  value = data.terraform_remote_state.network.outputs\n}\n`
      const source = blockOf(sectionOf("Outputs of another workspace")).replace("https://server.example.com", url)
      writeFileSync(join(app, "main.tf"), source + read)
      const { stdout } = yield* shell(app, "tofu init >&2 && tofu apply -auto-approve >&2 && tofu output -json all", {
        TF_HTTP_PASSWORD: readToken
      })
      expect(JSON.parse(stdout)).toEqual({ vpc_id: "vpc-1" })
    })
)
