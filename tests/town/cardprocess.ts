/** Program that is one card in a process of its own: whoever kills it takes the card away at that instant. */
// Gets its place as the first message: the path of its memory's image and what befalls it. After each command its
// memory is on the disk before the answer leaves, as a chip's is in its EEPROM. It runs where vpcd can be dialled.
import { randomBytes } from 'node:crypto';
import { createCard } from './card.ts';
import { readImage, writeImage } from './cardimage.ts';
import { counted } from './counted.ts';
import { present, type Trouble } from './field.ts';
import { offer } from './vpicc.ts';

export interface CardPlace {
  readonly port: number;
  readonly image: string;
  readonly trouble: Trouble;
}

async function lie({ port, image, trouble }: CardPlace): Promise<void> {
  const { memory, denied } = readImage(image);
  const card = counted(createCard(memory, randomBytes), undefined, denied);
  const presence = present(card, trouble);
  const execute = (apdu: Uint8Array): Uint8Array => {
    const reply = presence(apdu);
    writeImage(image, { memory, denied: card.denied, torn: reply === null });
    // Between what was executed and its answer.
    if (reply === null) process.kill(process.pid, 'SIGKILL');
    return reply ?? new Uint8Array();
  };
  const { gone } = await offer({ memory, reset: card.reset, process: execute }, port);
  process.send?.('lies');
  await gone;
  process.exit(0);
}

process.once('message', (place) => void lie(place as CardPlace));
process.once('disconnect', () => process.exit(0));
