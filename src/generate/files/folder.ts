// The files of a folder of Kustomize, one for each object.
// Used by generate/kustomize and generate/files/component.
import { type Described, fileName } from "../../core/overlay/file-name.ts"
import { shippedRelease } from "../../core/overlay/shipped.ts"

export interface ObjectFile {
  readonly file: string
  readonly object: Described
}

export const objectFiles = (objects: ReadonlyArray<Described>): ReadonlyArray<ObjectFile> =>
  objects.map((object) => ({ file: fileName(object, objects, shippedRelease), object }))
