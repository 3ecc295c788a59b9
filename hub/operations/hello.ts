/** Hello: releases the key of a kiosk's sealed masters, for as long as it is granted them (TRUTH section 14). */
import { releaseContext } from '../../protocol/hello.ts';
import { seal } from '../../protocol/sealed.ts';
import type { Operation } from '../mqtt/router.ts';
import type { Vault } from '../vault.ts';

export interface HelloDeps {
  readonly vault: Pick<Vault, 'releaseKey' | 'sealDebitMasters'>;
}

export function makeHello({ vault }: HelloDeps): Operation<'hello'> {
  return async ({ kiosk, body }) => {
    if (!kiosk.offline) {
      const detail = `kiosk ${kiosk.name} asks for debit masters, which it was not granted`;
      return { refusal: 'not-allowed', detail, alarm: 'grant-missing' };
    }
    const fresh = vault.sealDebitMasters(kiosk.no);
    const { version } = fresh;
    const point = Buffer.from(body.key, 'base64');
    const release = await seal(point, releaseContext(kiosk.no, version), vault.releaseKey(kiosk.no, version)).catch(
      () => null,
    );
    if (release === null) return { refusal: 'message-malformed', detail: 'the key is no point of P-256' };
    const box = body.box === version ? null : fresh;
    return { body: JSON.stringify({ version, release: Buffer.from(release).toString('base64'), box }) };
  };
}
