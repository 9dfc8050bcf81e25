// What no release of the chart can say: the images with this program and with an engine, and the server that gives work from now on.
// Invariant: images of the release have no effect any more, since the chart's agent is another program.
// Used by cli/migrate-release.ts and core/migration/move.ts.
import type { Tree } from "../../schema/layers.ts"
import { textAt, without, withValue } from "../tree-path.ts"

export interface Image {
  readonly repository: string
  readonly tag: string
}

export interface Chosen {
  /** Of controller and worker. */
  readonly image: Image
  readonly runnerImage: Image
  /** Absent: that of the release. */
  readonly url?: string
}

const reference = /^(?<repository>[^\s:@]+(?::\d+\/[^\s:@]+)?):(?<tag>\w[\w.-]{0,127}(?:@sha256:[0-9a-f]{64})?)$/u

/** None without a tag, since what it means changes. */
export const imageOf = (text: string): Image | undefined => {
  const { repository, tag } = reference.exec(text)?.groups ?? {}
  return repository === undefined || tag === undefined ? undefined : { repository, tag }
}

const inherited: Image = { repository: "", tag: "" }

const withImage = (values: Tree, of: string, { repository, tag }: Image): Tree =>
  withValue(withValue(values, `${of}.image.repository`, repository), `${of}.image.tag`, tag)

/** The images are named in full, so that no registry comes before them. */
const withImages = (values: Tree, { image, runnerImage }: Chosen): Tree => {
  const images = { agent: image, controller: inherited, "task.worker": inherited, "task.runner": runnerImage }
  return Object.entries(images).reduce((to, [of, named]) => withImage(to, of, named), withValue(values, "global.imageRegistry", ""))
}

/** Another server than that of the release. */
export const otherServer = (values: Tree, { url }: Chosen): string | undefined =>
  url === undefined || url.replace(/\/+$/u, "") === textAt(values, "agent.url").replace(/\/+$/u, "") ? undefined : url

/** Which Secret the Pods of the release read the token from, if one was named; until 0.5.63 its name was a text. */
const secretOfRelease = (values: Tree): string =>
  textAt(values, "agent.tokenExistingSecret") || textAt(values, "agent.tokenExistingSecret.name")

/** Neither is the token of the release for the eyes of another server, nor may its Secret be changed while its Pods read it. */
const withOtherServer = (values: Tree, url: string, name: string): Tree => {
  const left = ["agent.token", "agent.auth.token", "agent.tokenExistingSecretKey"].reduce(without, withValue(values, "agent.url", url))
  const ofOurs = secretOfRelease(values) === `${name}-token` ? `${name}-pool-token` : `${name}-token`
  return withValue(left, "agent.tokenExistingSecret", { name: ofOurs, key: "token" })
}

/** `name`: that of the installation. */
export const withChosen = (values: Tree, chosen: Chosen, name: string): Tree => {
  const other = otherServer(values, chosen)
  return withImages(other === undefined ? values : withOtherServer(values, other, name), chosen)
}
