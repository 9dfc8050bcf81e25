// Which options and which keys of its engine a task may have, and what its author is told of one that only a newer version knows.
import { describe, expect, it } from "@effect/vitest"
import { Option, Schema } from "effect"
import { unknownOption } from "../../../src/core/task/unknown-option.ts"
import { programVersion } from "../../../src/schema/program-version.ts"
import { Engine, PlanOptions } from "../../../src/schema/task/agent-task.ts"
import { taskOf } from "../configs.ts"

const told = (asked: object) => taskOf(asked).spec
const Asked = Schema.Struct({ options: PlanOptions, engine: Engine })

describe("the options and the engine of a task", () => {
  it.prop("are as they should be when all of their keys are known", [Asked], ([asked]) => {
    const spec = told(JSON.parse(JSON.stringify(asked)))
    expect(spec).toMatchObject(asked)
    expect(unknownOption(spec, "worker")).toEqual(Option.none())
  })
  it("are as they should be when there are none", () => expect(unknownOption(told({}), "controller")).toEqual(Option.none()))

  it.each(
    [
      { by: "controller", upgrade: "the controller", asked: { options: { refresh: false, excludes: ["a.b"] } }, key: "options.excludes" },
      { by: "worker", upgrade: "the worker's image (agent.image)", asked: { options: { excludes: [] } }, key: "options.excludes" },
      {
        by: "worker",
        upgrade: "the worker's image (agent.image)",
        asked: { options: {}, engine: { name: "tofu", mirror: "local" } },
        key: "engine.mirror"
      }
    ] as const
  )("are refused by the $by when $key is not known", ({ asked, by, key, upgrade }) =>
    expect(unknownOption(told(asked), by)).toEqual(
      Option.some(
        `The ${by}, of agent-job ${programVersion}, does not know ${key}, so nothing was run; upgrade ${upgrade}, then run it again.`
      )
    ))

  it("are refused with the beginning of a long name, on one line", () =>
    expect(Option.getOrThrow(unknownOption(told({ options: { ["x\n".repeat(5000)]: true } }), "worker"))).toMatch(/^[^\n]{1,300}$/u))
})
