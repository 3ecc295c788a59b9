/** The address that members' tags open on a phone. */

/** What a tag's file holds beside the rest of the address, with room to spare (cards/ndef.ts). */
const HOST_MAX = 180;
const HOST = /^[a-z0-9][a-z0-9.-]*$/;

/**
 * `https://<name>/t` with the hub's first name that a tag can hold; `localhost` where it has none.
 * @param names as in the settings: names and addresses, the first is the one that people are told
 */
export function tagAddress(names: readonly string[]): string {
  const hosts = names.map((name) => name.toLowerCase());
  const host = hosts.find((name) => HOST.test(name) && name.length <= HOST_MAX) ?? 'localhost';
  return `https://${host}/t`;
}
