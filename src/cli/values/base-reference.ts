// Where an overlay goes, and where it finds its base: what --base names, or else the checkout that this program runs from.
// Invariant: a remote base is pinned to a version, and a local one is a path relative to the overlay's folder.
// Used by the commands overlay and migrate, and by cli/values/base-contents, cli/values/write-overlay and cli/values/migrate-release.
import { Effect, Option, Predicate } from "effect"
import { Flag } from "effect/cli"
import { existsSync, realpathSync, statSync } from "node:fs"
import { basename, dirname, join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { pathFlag, toggle } from "../flags/settings.ts"
import { BadInput } from "../terminal/failure.ts"

export const overlayFlags = {
  out: pathFlag("out").pipe(
    Flag.withMetavar("DIR"),
    Flag.withDescription("The directory to write; new, empty, or with an overlay that was written before.")
  ),
  base: Flag.String("base").pipe(
    Flag.withMetavar("REF"),
    Flag.optional,
    Flag.withDescription(
      "The base: a directory, or a remote one with its version (https://HOST/OWNER/agent-job//kustomize/base?ref=TAG); by default that of the checkout this runs from."
    )
  ),
  withoutCrd: toggle("without-crd", "Leave the CustomResourceDefinition to another installation, or to kustomize/crd.")
}

const example = "https://HOST/OWNER/agent-job//kustomize/base?ref=v0.1.0"

/** Reports whether the path is a file. A folder named kustomization.yaml is no kustomization, as in kustomize. */
const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true

/** Returns the kustomization file of a folder, if there is one. Throws if the folder may not be searched. */
export const kustomizationIn = (folder: string): string | undefined =>
  ["kustomization.yaml", "kustomization.yml", "Kustomization"].map((name) => join(folder, name)).find(isFile)

const isBase = (path: string): boolean => Option.exists(Option.liftThrowable(kustomizationIn)(path), Predicate.isNotUndefined)

/** Returns the base of the checkout that this program runs from, if there is one: one folder above the bundle, or two above this file. */
const ofCheckout = (): string | undefined =>
  ["..", "../../.."].map((up) => join(dirname(fileURLToPath(import.meta.url)), up, "kustomize", "base")).find(isBase)

export const isRemote = (base: string): boolean => /^[a-z+]+:\/\/|^git@|\?ref=/u.test(base)

export interface Base {
  /** The base as the overlay's kustomization.yaml names it. */
  readonly reference: string
  /** Whether --base was given: then the command that writes the overlay again needs it too. */
  readonly chosen: boolean
}

/** Returns the real path of a folder that may not exist yet, because kustomize resolves references from the real path. */
export const realPathOf = (path: string): string => existsSync(path) ? realpathSync(path) : join(realPathOf(dirname(path)), basename(path))

/** Returns the base for a kustomization in `out`. Fails if a remote base has no version, or a local one no kustomization. */
export const baseReference = (base: Option.Option<string>, out: string): Effect.Effect<Base, BadInput> =>
  Effect.suspend(() => {
    const given = Option.getOrUndefined(base)
    if (given !== undefined && isRemote(given)) {
      return /\?(.*&)?ref=[^&]+/u.test(given)
        ? Effect.succeed({ reference: given, chosen: true })
        : Effect.fail(
          new BadInput({
            message: `--base ${given} names no version, so that it may be another one tomorrow; add one, such as ?ref=v0.1.0.`
          })
        )
    }
    const path = given === undefined ? ofCheckout() : resolve(given)
    if (path === undefined) {
      return Effect.fail(
        new BadInput({
          message: `This program runs from no checkout that has kustomize/base; name the base with --base: a directory, or ${example}.`
        })
      )
    }
    return isBase(path)
      ? Effect.succeed({ reference: relative(realPathOf(resolve(out)), path), chosen: given !== undefined })
      : Effect.fail(
        new BadInput({
          message: `There is no kustomization.yaml that can be read in ${given}; name the base with --base: a directory, or ${example}.`
        })
      )
  })
