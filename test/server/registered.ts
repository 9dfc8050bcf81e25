// The routes of the server, as its own layers add them: "METHOD /path". Used by the tests that have a table of them.
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { routes, stores } from "../../src/server/lifecycle/server.ts"
import { tfeRefusedRoutes } from "../../src/server/tfe/tfe-refused-routes.ts"
import { directory, optionsIn } from "./live-server.ts"

const routesOf = Effect.fnUntraced(function*(layer: typeof routes | typeof tfeRefusedRoutes) {
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
  yield* Layer.build(layer.pipe(Layer.provide(recorder), Layer.provide(stores(optionsIn(yield* directory)))))
  return found
})

export const registered = routesOf(routes)

/** Those that refuse whatever they are asked. */
export const refusing = Effect.map(routesOf(tfeRefusedRoutes), (all) => all.filter((route) => !route.startsWith("GET ")))
