// Which owner controls an object, as its references say.
// Used by core/reconcile/attempts, core/task/seen, controller/world/project and cli/cluster/draining.
import { Option } from "effect"

/** Returns the reference to the owner of that kind that controls the object. */
export const controllingOwner = <Reference extends { readonly kind: string; readonly controller?: boolean | undefined }>(
  references: ReadonlyArray<Reference> | undefined,
  ofKind: string
): Option.Option<Reference> => Option.fromUndefinedOr(references?.find(({ controller, kind }) => kind === ofKind && controller === true))
