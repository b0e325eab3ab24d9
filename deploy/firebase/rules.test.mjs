// What the rules allow and what they refuse. Run by `npm test`, which starts Google's emulators
// (they need Java 21 and a download); docs/firebase.md tells more.
import { after, before, beforeEach, describe, it } from 'node:test';
import { readFileSync } from 'node:fs';
import {
  assertFails,
  assertSucceeds,
  initializeTestEnvironment,
} from '@firebase/rules-unit-testing';
import { deleteDoc, deleteField, doc, getDoc, setDoc, updateDoc } from 'firebase/firestore';
import { deleteObject, getBytes, ref, uploadBytes } from 'firebase/storage';

const longAgo = new Date(0);
const ready = {
  basic: { status: 'ready', idleVideoUrl: 'https://x', name: 'Idle', updatedAt: longAgo },
};
const anna = {
  id: 'anna', userId: 'owner', firstName: 'Anna', createdAt: 1, updatedAt: 1, isPublic: false,
};
const here = new URL('.', import.meta.url);
let world;

const as = (uid) => (uid ? world.authenticatedContext(uid) : world.unauthenticatedContext());
const asServer = (work) => world.withSecurityRulesDisabled((server) => work(server.firestore()));
const avatar = (uid, id = 'anna') => doc(as(uid).firestore(), 'avatars', id);
const file = (uid, path) => ref(as(uid).storage(), path);

before(async () => {
  world = await initializeTestEnvironment({
    projectId: 'demo-sunriza',
    firestore: { rules: readFileSync(new URL('firestore.rules', here), 'utf8') },
    storage: { rules: readFileSync(new URL('storage.rules', here), 'utf8') },
  });
});

after(() => world.cleanup());

beforeEach(async () => {
  await world.clearFirestore();
  await world.clearStorage();
  await world.withSecurityRulesDisabled(async (server) => {
    const db = server.firestore();
    await setDoc(doc(db, 'avatars', 'anna'), { ...anna, dynamics: ready });
    await setDoc(doc(db, 'avatars', 'star'), { ...anna, id: 'star', isPublic: true });
    await setDoc(doc(db, 'avatars/anna/server/basic'), { claims: 1 });
    const idle = ref(server.storage(), 'avatars/anna/dynamics/basic/idle.mp4');
    await uploadBytes(idle, new Uint8Array([1]), { contentType: 'video/mp4' });
  });
});

describe('avatar documents', () => {
  it('are read by their owner, and by everybody when public', async () => {
    await assertSucceeds(getDoc(avatar('owner')));
    await assertFails(getDoc(avatar('stranger')));
    await assertFails(getDoc(avatar(null)));
    await assertSucceeds(getDoc(avatar(null, 'star')));
  });

  it('are made by their owner, without dynamics and with integer times', async () => {
    const ben = { ...anna, id: 'ben' };
    await assertSucceeds(setDoc(avatar('owner', 'ben'), ben));
    await assertFails(setDoc(avatar('stranger', 'carl'), { ...anna, id: 'carl' }));
    await assertFails(setDoc(avatar('owner', 'dora'), { ...anna, id: 'dora', dynamics: ready }));
    await assertFails(setDoc(avatar('owner', 'emil'), { ...anna, id: 'emil', updatedAt: '1' }));
    await assertFails(setDoc(avatar('owner', 'fred'), { ...anna, id: 'other' }));
  });

  it('are changed by their owner, who cannot give them away', async () => {
    await assertSucceeds(updateDoc(avatar('owner'), { firstName: 'Annika', updatedAt: 2 }));
    await assertFails(updateDoc(avatar('stranger'), { firstName: 'Mine' }));
    await assertFails(updateDoc(avatar(null, 'star'), { firstName: 'Ours' }));
    await assertFails(updateDoc(avatar('owner'), { userId: 'stranger' }));
    await assertFails(updateDoc(avatar('owner'), { updatedAt: new Date() }));
  });

  it('have dynamics of the server alone', async () => {
    const same = { ...anna, dynamics: ready, city: 'Ulm' };
    await assertSucceeds(setDoc(avatar('owner'), same, { merge: true }));
    for (const change of [
      { 'dynamics.basic.status': 'ready', 'dynamics.basic.runId': 'x' },
      { 'dynamics.basic.idleVideoUrl': 'https://stale' },
      { 'dynamics.wave': { status: 'pending' } },
      { 'dynamics.basic.status': 'generating' },
      { dynamics: {} },
    ]) {
      await assertFails(updateDoc(avatar('owner'), change));
    }
  });

  it('take one request of their owner: a run, with parameters', async () => {
    const wish = { 'dynamics.basic.status': 'pending', 'dynamics.basic.parameters': { fps: 25 } };
    await assertFails(updateDoc(avatar('stranger'), wish));
    await assertFails(updateDoc(avatar('owner'), { ...wish, 'dynamics.basic.parameters': 1 }));
    await assertSucceeds(updateDoc(avatar('owner'), wish));
  });

  it('take no request again before a run is over, but with other inputs', async () => {
    const again = { 'dynamics.basic.status': 'pending' };
    for (const status of ['pending', 'generating']) {
      const basic = { status, parameters: { fps: 25 }, runId: 'r', updatedAt: longAgo };
      await asServer((db) => setDoc(doc(db, 'avatars', 'anna'), { ...anna, dynamics: { basic } }));
      const old = { status: 'pending', parameters: { fps: 25 } };
      const stale = { ...anna, dynamics: { basic: old } };
      if (status === 'generating') {
        await assertFails(updateDoc(avatar('owner'), again));
        await assertFails(setDoc(avatar('owner'), stale, { merge: true }));
      }
      const wish = { ...again, 'dynamics.basic.parameters': { fps: 30 } };
      await assertSucceeds(updateDoc(avatar('owner'), wish));
    }
    const basic = { status: 'generating', updatedAt: longAgo };
    await asServer((db) => setDoc(doc(db, 'avatars', 'anna'), { ...anna, dynamics: { basic } }));
    await assertSucceeds(updateDoc(avatar('owner'), { ...again, avatarImageUrl: 'https://new' }));
  });

  it('take the same request a minute after the last word of the server', async () => {
    const again = { 'dynamics.basic.status': 'pending' };
    for (const status of ['ready', 'error']) {
      const basic = { status, updatedAt: new Date() };
      await asServer((db) => setDoc(doc(db, 'avatars', 'anna'), { ...anna, dynamics: { basic } }));
      await assertFails(updateDoc(avatar('owner'), again));
      basic.updatedAt = new Date(Date.now() - 90_000);
      await asServer((db) => setDoc(doc(db, 'avatars', 'anna'), { ...anna, dynamics: { basic } }));
      await assertSucceeds(updateDoc(avatar('owner'), again));
    }
  });

  it('keep their name', async () => {
    await assertFails(updateDoc(avatar('owner'), { firstName: '' }));
    await assertFails(updateDoc(avatar('owner'), { firstName: 'x'.repeat(101) }));
    await assertFails(updateDoc(avatar('owner'), { firstName: 7 }));
    await assertFails(updateDoc(avatar('owner'), { firstName: deleteField() }));
    const { firstName: _, ...nameless } = anna;
    await asServer((db) => setDoc(doc(db, 'avatars', 'anna'), nameless));
    await assertSucceeds(updateDoc(avatar('owner'), { city: 'Ulm' }));
  });

  it('are not made beside the record of another owner, nor while one is purged', async () => {
    const gus = { ...anna, id: 'gus', userId: 'heir' };
    const beside = (data) => asServer(async (db) => {
      await deleteDoc(doc(db, 'avatars', 'gus'));
      await setDoc(doc(db, 'avatars/gus/server/basic'), data);
    });
    for (const data of [
      { user_id: 'owner', purging: false },
      { user_id: 'heir', purging: true },
      { user_id: null },
      { claims: 3 },
    ]) {
      await beside(data);
      await assertFails(setDoc(avatar('heir', 'gus'), gus));
    }
    await beside({ user_id: 'heir', purging: false });
    await assertSucceeds(setDoc(avatar('heir', 'gus'), gus));
  });

  it('keep the marks of deleted avatars shut', async () => {
    const mark = (uid) => doc(as(uid).firestore(), 'retired_avatars/anna');
    await assertFails(getDoc(mark('owner')));
    await assertFails(setDoc(mark('owner'), {}));
  });

  it('keep the server record shut', async () => {
    const record = (uid) => doc(as(uid).firestore(), 'avatars/anna/server/basic');
    await assertFails(getDoc(record('owner')));
    await assertFails(setDoc(record('owner'), { claims: 0 }));
    await assertFails(deleteDoc(record('owner')));
  });

  it('are not taken over by a mapping', async () => {
    const mapping = (uid) => doc(as(uid).firestore(), `users/${uid}/avatars/anna`);
    await assertFails(setDoc(mapping('stranger'), { since: 1 }));
    await assertSucceeds(setDoc(mapping('owner'), { since: 1 }));
  });
});

describe('files', () => {
  const upload = (uid, path, type, size = 3) =>
    uploadBytes(file(uid, path), new Uint8Array(size), { contentType: type });

  it('are uploaded by the owner: pictures, clips, sounds, documents', async () => {
    await assertSucceeds(upload('owner', 'avatars/anna/images/a.jpg', 'image/jpeg'));
    await assertSucceeds(upload('owner', 'avatars/anna/videos/a.mp4', 'video/mp4'));
    await assertSucceeds(upload('owner', 'avatars/anna/documents/a.pdf', 'application/pdf'));
    await assertFails(upload('stranger', 'avatars/anna/images/a.jpg', 'image/jpeg'));
    await assertFails(upload(null, 'avatars/star/images/a.jpg', 'image/jpeg'));
    await assertFails(upload('owner', 'avatars/anna/images/a.svg', 'image/svg+xml'));
    await assertFails(upload('owner', 'avatars/anna/images/a.bin', 'application/octet-stream'));
    await assertFails(upload('owner', 'elsewhere/a.jpg', 'image/jpeg'));
  });

  it('have at most 50 MB', async () => {
    const path = 'avatars/anna/videos/big.mp4';
    await assertFails(upload('owner', path, 'video/mp4', 50 * 1024 * 1024));
  });

  it('below dynamics are of the server alone', async () => {
    const idle = 'avatars/anna/dynamics/basic/idle.mp4';
    await assertSucceeds(getBytes(file('owner', idle)));
    await assertFails(getBytes(file('stranger', idle)));
    await assertFails(upload('owner', idle, 'video/mp4'));
    await assertFails(deleteObject(file('owner', idle)));
    await assertFails(upload('owner', 'pipeline/anna/x.mp4', 'video/mp4'));
  });
});
