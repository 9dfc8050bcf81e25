// The cluster that a command asks: the one of a context of the kubeconfig. Where it does not answer, a person is told who is waited for.
// Used by the commands that ask the Kubernetes API.
import { Effect, Layer, Option } from "effect"
import { HttpClient, UrlParams } from "effect/http"
import { shellWord } from "../../core/text/shell-word.ts"
import { Kubernetes } from "../../kubernetes/client.ts"
import { discover } from "../../kubernetes/credentials.ts"
import type { ClusterFlags } from "../flags/settings.ts"
import { Screen } from "../terminal/screen.ts"
import { sayingMeanwhile } from "../terminal/while-silent.ts"

/** What a login command says on stderr, such as where to log in, is not shown before it ends. */
const sayingLogin = sayingMeanwhile(
  "Waiting for the login command of the kubeconfig, whose questions are not shown here; if it asks for something, log in with kubectl first"
)

/** Returns the Kubernetes client for the context that was asked for, or for the current one. */
export const cluster = ({ context }: Pick<ClusterFlags, "context">) =>
  Layer.unwrap(
    Effect.map(Screen, (screen) =>
      Kubernetes.layer(sayingLogin(discover({ context: Option.getOrUndefined(context), homeFirst: true })), (http, { server }) => {
        const saying = sayingMeanwhile(`Waiting for an answer from the API server at ${server}`)
        // A log that is followed says nothing before its first line, which is no delay of the API server.
        return HttpClient.transform(http, (answer, { url, urlParams }) =>
          url.endsWith("/log") && Option.contains(UrlParams.getFirst(urlParams, "follow"), "true")
            ? answer
            : Effect.provideService(saying(answer), Screen, screen))
      }))
  )

/** Returns the flag with which another command reaches the same cluster, after a blank; nothing for the current context. */
export const contextFlag = ({ context }: Pick<ClusterFlags, "context">): string =>
  Option.match(context, { onNone: () => "", onSome: (name) => ` --context ${shellWord(name)}` })
