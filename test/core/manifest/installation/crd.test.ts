// The CRD without an API server: every column shows a field that exists.
import { describe, expect, it } from "@effect/vitest"
import { agentTaskOpenApi, crd } from "../../../../src/core/manifest/installation/crd.ts"

/**
 * Returns the schema of the field at a path like `.status.job.name`. Fields of metadata have none, because
 * they are Kubernetes' own.
 */
const typeAt = (path: string): unknown =>
  path.slice(1).split(".").reduce<unknown>((node, key) => Object(Object(Object(node).properties)[key]), agentTaskOpenApi())

const columns: ReadonlyArray<{ readonly name: string; readonly type: string; readonly jsonPath: string }> =
  Object(crd().spec).versions[0].additionalPrinterColumns

describe("a printer column of the CRD", () => {
  it.each(columns.filter(({ jsonPath }) => !jsonPath.startsWith(".metadata")))("$name shows a field of its type", ({ jsonPath, type }) => {
    expect(typeAt(jsonPath)).toMatchObject({ type })
  })
  it("is there for everything that a wide listing promises", () => {
    expect(columns.map(({ name }) => name)).toEqual([
      "Workspace",
      "Stage",
      "Phase",
      "Changes",
      "Reason",
      "Age",
      "Job",
      "Pod",
      "Node",
      "Revision",
      "Duration",
      "Message"
    ])
  })
})
