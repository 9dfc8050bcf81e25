// What a person chooses for a move, because no release has it: images of this program and of the runner, and the server that gives work.
// Invariant: images of the release have no effect any more, since the chart's agent is another program.
// Used by cli/values/migrate-release.ts and core/migration/move.ts.
import { merge, type Tree } from "../../schema/document/layers.ts"
import { textAt, without, withValue } from "../resolve/tree-path.ts"

export interface Image {
  readonly repository: string
  readonly tag: string
}

export interface Chosen {
  /** The image of the controller and the worker. */
  readonly image: Image
  readonly runnerImage: Image
  /** The server that gives work. Absent: that of the release. */
  readonly url?: string
  /** Whether somebody else installs the CustomResourceDefinition. */
  readonly withoutCrd: boolean
}

const reference = /^(?<repository>[^\s:@]+(?::\d+\/[^\s:@]+)?):(?<tag>\w[\w.-]{0,127}(?:@sha256:[0-9a-f]{64})?)$/u

/** Parses the name of an image. Returns undefined without a tag, because what such a name stands for changes. */
export const imageOf = (text: string): Image | undefined => {
  const { repository, tag } = reference.exec(text)?.groups ?? {}
  return repository === undefined || tag === undefined ? undefined : { repository, tag }
}

const inherited: Image = { repository: "", tag: "" }

const withImage = (values: Tree, of: string, { repository, tag }: Image): Tree =>
  withValue(withValue(values, `${of}.image.repository`, repository), `${of}.image.tag`, tag)

/** Returns the values with the chosen images. They are named in full, so that no registry comes before them. */
const withImages = (values: Tree, { image, runnerImage }: Chosen): Tree => {
  const images = { agent: image, controller: inherited, "task.worker": inherited, "task.runner": runnerImage }
  return Object.entries(images).reduce((to, [of, named]) => withImage(to, of, named), withValue(values, "global.imageRegistry", ""))
}

/** Returns what was chosen, with the server of the base's layers if neither the release nor a person names one. */
export const withServerOf = (base: ReadonlyArray<Tree>, values: Tree, chosen: Chosen): Chosen => {
  const url = textAt(base.reduce(merge, {}), "agent.url")
  return url === "" || chosen.url !== undefined || textAt(values, "agent.url") !== "" ? chosen : { ...chosen, url }
}

/** Returns the chosen server if it is another one than that of the release. */
export const otherServer = (values: Tree, { url }: Chosen): string | undefined =>
  url === undefined || url.replace(/\/+$/u, "") === textAt(values, "agent.url").replace(/\/+$/u, "") ? undefined : url

/**
 * Returns the name of the Secret from which the Pods of the release read the token, or an empty text if the values name none. Until 0.5.63
 * that value was the name itself.
 */
const secretOfRelease = (values: Tree): string =>
  textAt(values, "agent.tokenExistingSecret") || textAt(values, "agent.tokenExistingSecret.name")

/**
 * Returns the values for another server, with a Secret of its own for the token: the other server must not see the token of the release,
 * and the Secret of the release must not change while its Pods read it.
 */
const withOtherServer = (values: Tree, url: string, name: string): Tree => {
  const left = ["agent.token", "agent.auth.token", "agent.tokenExistingSecretKey"].reduce(without, withValue(values, "agent.url", url))
  const ofOurs = secretOfRelease(values) === `${name}-token` ? `${name}-pool-token` : `${name}-token`
  return withValue(left, "agent.tokenExistingSecret", { name: ofOurs, key: "token" })
}

/** Returns the values with what was chosen. `name` is that of the installation. */
export const withChosen = (values: Tree, chosen: Chosen, name: string): Tree => {
  const other = otherServer(values, chosen)
  return withImages(other === undefined ? values : withOtherServer(values, other, name), chosen)
}
