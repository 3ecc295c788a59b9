/** Unowned: the pilot's outlets for towns of other members than the pilot's, who own none and earn nothing there. */
import type { Town } from '../../hub/town.ts';

export const unowned = ({ outlets }: Town): Town['outlets'] =>
  outlets.map(({ owner: _owner, payees: _payees, ...outlet }) => outlet);
