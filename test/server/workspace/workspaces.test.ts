import { expect, it } from "@effect/vitest"
import { Effect } from "effect"
import { WorkspaceName } from "../../../src/schema/names.ts"
import { fits } from "../../../src/schema/workspace-pattern.ts"
import { Workspaces } from "../../../src/server/workspace/workspaces.ts"
import { inStores } from "../live-server.ts"

const names = ["a", "ab", "a-b", "a_b", "A", "A-b", "b", "ba", "ba-b"]

it.live.each([["a"], ["*"], ["a*"], ["a-*"], ["a_*"], ["A*", "b"], ["none"], []].map((patterns) => ({ patterns })))(
  "a search finds for a token of $patterns those that the patterns fit, in the database as elsewhere",
  ({ patterns }) =>
    inStores(Effect.gen(function*() {
      const workspaces = yield* Workspaces
      yield* Effect.forEach(names, (name) => workspaces.ensure(WorkspaceName.make(name)))
      const found = yield* workspaces.search(patterns, "", 100, 0)
      expect(found.map(({ name }) => name)).toEqual(names.filter((name) => fits(patterns, name)).sort())
      expect(yield* workspaces.search("all", "", 100, 0)).toHaveLength(names.length)
    }))
)
