/**
 * A source's text with those patches made that are for this file, one after the other. Each must fit exactly once: one that does
 * not tests nothing any more.
 * @param {string} name from the repository's root
 * @param {string} text
 * @param {readonly { readonly file: string, readonly find: string, readonly replace: string }[]} patches
 * @returns {string}
 */
export function patched(name, text, patches) {
  return patches
    .filter(({ file }) => file === name)
    .reduce((before, { find, replace }) => {
      if (before.split(find).length !== 2) throw new Error(`the patch of ${name} no longer fits: ${JSON.stringify(find)}`);
      return before.replace(find, () => replace);
    }, text);
}
