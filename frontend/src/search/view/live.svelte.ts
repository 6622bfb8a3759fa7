import type { SocketState } from '../../wire/socket';

/** Whether news come by themselves. */
export class Live {
  state = $state<SocketState>('connecting');
}
