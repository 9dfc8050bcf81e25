// Renders the text of a values file as `agent-job render` does, but in this process: from YAML to the objects as JSON.
// Used by cases.test.ts.
import { Result } from "effect"
import { readFileSync } from "node:fs"
import { install } from "../../src/core/manifest/installation/install.ts"
import { job } from "../../src/core/manifest/job.ts"
import { resolve } from "../../src/core/resolve/resolve.ts"
import { type Fault, told } from "../../src/schema/document/fault.ts"
import { yamlLayer } from "../../src/schema/document/yaml-layer.ts"
import { parseTaskFile } from "../../src/schema/task/task-file.ts"
import { parseLayers } from "../../src/schema/values/values.ts"
import type { KubernetesObject } from "./objects.ts"

const taskFile = Result.getOrThrow(yamlLayer("task.yaml", readFileSync(`${import.meta.dirname}/task.yaml`, "utf8"))).tree

/** Returns the objects, or the message for the author of the file. */
export const rendered = (
  text: string,
  release: { readonly name: string; readonly namespace: string }
): Result.Result<ReadonlyArray<KubernetesObject>, string> =>
  yamlLayer("values.yaml", text).pipe(
    Result.flatMap((layer) => parseLayers([layer])),
    Result.mapError((faults: ReadonlyArray<Fault>) => faults.map(told).join("\n")),
    Result.map((values) => {
      const config = resolve(values, release)
      const task = Result.getOrThrow(parseTaskFile(config.taskNamespace)(taskFile))
      return JSON.parse(JSON.stringify([...install(config), job(task, config, 0)])) as ReadonlyArray<KubernetesObject>
    })
  )
