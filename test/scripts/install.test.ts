// What `make run` gives the product: values that it takes, with the images and with what the runner's image has.
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { expect, it } from "vitest"
import { parse } from "yaml"
import { checkout } from "./checkout.ts"

it("names the images, and the mirror in the runner's image, where no engine looks by itself", () => {
  const { folder, program, run, write } = checkout("scripts", "test/cluster/env.bash")
  write(".cache/agent-job.image", "registry:5000/agent-job:1\n")
  write(".cache/agent-job-runner.image", "registry:5000/agent-job-runner:2\n")
  program("kubectl", `case "$*" in *"get deployments,statefulsets"*) echo deployment.apps/a ;; esac`)
  expect(run("scripts/install").status).toBe(0)
  const values: unknown = parse(readFileSync(join(folder, ".cache/install/values.yaml"), "utf8"))
  const [, path] = /^COPY mirror (.*)$/mu.exec(readFileSync("images/agent-job-runner.Containerfile", "utf8")) ?? []
  expect(path).toBe("/opt/providers")
  expect(values).toEqual({
    agent: {
      image: { repository: "registry:5000/agent-job", tag: "1" },
      providerFilesystemMirrors: [{ path, include: ["hashicorp/time"] }]
    },
    task: { runner: { image: { repository: "registry:5000/agent-job-runner", tag: "2" } } }
  })
})
