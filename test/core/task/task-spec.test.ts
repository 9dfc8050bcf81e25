// What the controller keeps of a spec in memory, and that nothing of the spec is lost when another task is made of it.
import { expect, it } from "@effect/vitest"
import { withoutTexts, withTextsOf } from "../../../src/core/task/task-spec.ts"
import { fullTask, taskOf } from "../configs.ts"

const secret = { name: "token", valueFrom: { secretKeyRef: { name: "s", key: "k" } } }
const specs = [
  { given: "all that there can be", spec: fullTask().spec },
  {
    given: "variables and a backend",
    spec: taskOf({
      source: { configMap: { name: "a" } },
      variables: [{ name: "a", value: "1" }, secret],
      backend: { type: "s3", config: { bucket: "b" } }
    }).spec
  },
  { given: "neither", spec: taskOf({ source: { configMap: { name: "a" } } }).spec }
]

it.each(specs)("has back what was left out of a spec with $given, once it is joined with the stored one", ({ spec }) => {
  const { source } = spec
  expect(withTextsOf(spec, { ...withoutTexts(spec), source })).toEqual(spec)
})

it("leaves the texts of a spec out, and what says where they are in", () => {
  const { spec } = taskOf({
    source: { inline: { "main.tf": "a" } },
    variables: [{ name: "a", value: "1" }, secret],
    backend: { type: "s3", config: { bucket: "b" } }
  })
  expect(withoutTexts(spec)).toEqual({
    ...spec,
    source: { inline: {} },
    variables: [{ name: "a", value: "" }, secret],
    backend: { type: "s3", config: {} }
  })
})

it.each(specs)("keeps each key and each place in a list of a spec with $given", ({ spec }) => {
  const kept = withoutTexts(spec)
  expect(Object.keys(kept)).toEqual(Object.keys(spec))
  expect(kept.variables?.map(({ name }) => name)).toEqual(spec.variables?.map(({ name }) => name))
  expect(withoutTexts(kept)).toEqual(kept)
})
