// The routes of the server, as its own layers add them: "METHOD /path". Used by the tests that have a table of them.
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { routes, stores } from "../../src/server/lifecycle/server.ts"
import { directory, optionsIn } from "./live-server.ts"

export const registered = Effect.gen(function*() {
  const found: Array<string> = []
  const recorder = Layer.effect(
    HttpRouter.HttpRouter,
    Effect.map(HttpRouter.make, (router) =>
      HttpRouter.HttpRouter.of({
        ...router,
        addAll: (added) => {
          found.push(...added.map(({ method, path }) => `${method} ${path}`))
          return router.addAll(added)
        }
      }))
  )
  yield* Layer.build(routes.pipe(Layer.provide(recorder), Layer.provide(stores(optionsIn(yield* directory)))))
  return found
})
