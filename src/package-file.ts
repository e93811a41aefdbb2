/**
 * A file of this package, by its path from the package's root. This module lies one folder deep, as source and as
 * built: whatever else looks for such a file asks here, because the build puts modules together.
 */
export function packageFile(path: string): URL {
  return new URL(`../${path}`, import.meta.url)
}
