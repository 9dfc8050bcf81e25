// What no release of the chart can say: the images with this program and with an engine, and the server that gives work from now on.
// Invariant: images of the release have no effect any more, since the chart's agent is another program.
// Used by cli/migrate-release.ts and core/migration/move.ts.
import type { Tree } from "../../schema/layers.ts"
import { withValue } from "../tree-path.ts"

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
export const withChosen = (values: Tree, { image, runnerImage, url }: Chosen): Tree => {
  const images = { agent: image, controller: inherited, "task.worker": inherited, "task.runner": runnerImage }
  const all = Object.entries(images).reduce((to, [of, named]) => withImage(to, of, named), withValue(values, "global.imageRegistry", ""))
  return url === undefined ? all : withValue(all, "agent.url", url)
}
