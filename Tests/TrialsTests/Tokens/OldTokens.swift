import LogModel
import ScenarioFormat
/// Tokens of trials as builds of before there was a check sum printed them: those of the reports of version 1.
enum OldTokens {
  static let all = text.split(separator: "\n").map(String.init)

  private static let text = """
    t1.sc=c1-header-counted-twice.m=20.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=C1.b=10.n=4.z=1000.a=0.t=orders.seed=42.st=memory


    t1.sc=c2-no-watermark.m=1.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=C2.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=c2b-single-batch-watermark.m=20.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=C2b.b=10.n=4.z=1000.a=0.t=orders.seed=42.st=memory


    t1.sc=c3-guessed-offset.m=1.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=C3.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=c4-trimmed-buffer.m=1010.p=1.s=always.r=skip-corrupted.c=none.at=end.d=C4.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=c5-always-from-the-start.m=90.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=C5.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=c6-skip-filter.m=5000.p=3.s=always.r=skip-corrupted.c=process-kill.at=end.d=C6.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=c7-cleared-after-the-flush.m=1000.p=1.s=always.r=skip-corrupted.c=none.at=end.d=C7.b=10.n=4.z=1000.a=10.t=orders.seed=44.st=memory


    t1.sc=c8-recovered-into-the-write-buffer.m=1.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=C8.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=c9-sealed-with-the-tail.m=1000.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=C9.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=c10-guard-at-rotation.m=1000.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=C10.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=c11-two-writers-one-file.m=10.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=C11.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory.w=lock-removed


    t1.sc=c12-crc-before-the-length.m=1.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=C12.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=c12b-crc-never-verified.m=1.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=C12b.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory.f=bit-flip/at-rest/target-batch-payload


    t1.sc=c13-metadata-never-flushed.m=10.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=C13.b=10.n=4.z=100.a=1.t=orders.seed=42.st=memory


    t1.sc=c14-first-file-named-alike.m=1000.p=3.s=always.r=skip-corrupted.c=process-kill.at=end.d=C14.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=c15-stored-not-maximum.m=100.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=C15.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory.f=interrupted/every-2/on-write/phase-produce/target-batch/times-1000


    t1.sc=c16-behind-a-failed-write.m=100.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=C16.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory.f=torn-write/answer-error/bytes-12KiB/kept-prefix/occurrence-2/phase-produce/rest-old/target-batch


    t1.sc=c18-orphans-on-an-error.m=10.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=C18.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory.f=io-error/on-read/phase-recover/target-metadata


    t1.sc=c19-one-batch-a-segment.m=20.p=3.s=always.r=skip-corrupted.c=process-kill.at=end.d=C19.b=1.n=4.z=1000.a=0.t=orders.seed=42.st=memory


    t1.sc=c20-every-record-loaded.m=50000.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=C20.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=h1-dropped-after-a-failed-upload.m=1000.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=H1.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory.ck=background/1ms/16000/16000/2s/none/100ms.f=store-refused/occurrence-2/on-put


    t1.sc=h2-torn-tail-not-cut.m=100.p=3.s=always.r=skip-corrupted.c=power-loss.at=50pc.d=H2.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=h3-zero-filled-tail.m=10.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=H3.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=h4-size-outside-the-crc.m=100.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=H4.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory.f=bit-flip/at-rest/target-batch-length


    t1.sc=h5-cut-at-the-end.m=1000.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=H5.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory.ck=background/1ms/16000/16000/2s/none/100ms


    t1.sc=h6-timed-flush-unheard.m=100.p=1.s=interval-100ms.r=skip-corrupted.c=process-kill.at=end.d=H6.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory.f=io-error/occurrence-3/on-write/phase-produce/target-batch


    t1.sc=h7-renumbered.m=100.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=H7.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory.f=bit-flip/at-rest/target-batch-payload


    t1.sc=h8-replayed-at-new-offsets.m=100.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=H8.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory.ck=flushed/1ms/16000/16000/2s/none/100ms


    t1.sc=h9-names-matched-by-prefix.m=10.p=2.s=always.r=skip-corrupted.c=process-kill.at=end.d=H9.b=10.n=4.z=1000.a=10.t=orders/orders-0.seed=42.st=memory


    t1.sc=h10-directory-order.m=10.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=H10.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=h11-any-epoch.m=10.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=H11.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory.w=lock-removed


    t1.sc=h12-idle-tail.m=100.p=6.s=interval-2ms.r=skip-corrupted.c=power-loss.at=end.d=H12.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=h13-acknowledged-before-the-write.m=100.p=1.s=interval-100ms.r=skip-corrupted.c=process-kill.at=50pc.d=H13.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=a1-one-position.m=400.p=1.s=always.r=truncate-at-corruption.c=process-kill.at=end.d=A1.b=10.n=4.z=200.a=10.t=build.seed=42.st=memory.dl=ef-2s/fb-1s/lb-1m/to-10s/sw-10m/ex-one/ar-false


    t1.sc=a2-truncated-behind-a-failed-write.m=100.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=A2.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory.f=torn-write/answer-error/bytes-4KiB/kept-prefix/occurrence-2/phase-produce/rest-old/target-batch


    t1.sc=a3-failed-and-there.m=100.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=A3.b=10.n=4.z=1000.a=10.t=orders.seed=43.st=memory.f=io-error/moment-completion/occurrence-3/on-write/phase-produce/target-batch


    t1.sc=a5-over-the-limit.m=3.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=A5.b=1.n=1.z=10485761.a=1.t=orders.seed=42.st=memory


    t1.sc=a6-numbers-begun-anew.m=100.p=1.s=always.r=truncate-at-corruption.c=process-kill.at=end.d=A6.b=10.n=4.z=200.a=10.t=build.seed=42.st=memory.dl=ef-1s/fb-1s/lb-1m/to-10s/sw-10m/ex-one/ar-false


    t1.sc=a7-no-flush-at-stop.m=100.p=1.s=always.r=truncate-at-corruption.c=none.at=end.d=A7.b=10.n=4.z=200.a=10.t=build.seed=42.st=memory.dl=ef-1s/fb-1s/lb-1m/to-10s/sw-10m/ex-one/ar-false.f=receiver-refuses/for-5s


    t1.sc=a8-two-executions-in-one-log.m=100.p=1.s=always.r=truncate-at-corruption.c=process-kill.at=end.d=A8.b=10.n=4.z=200.a=10.t=build.seed=42.st=memory.dl=ef-1s/fb-1s/lb-1m/to-10s/sw-10m/ex-each/ar-false.f=receiver-refuses/for-5s


    t1.sc=a9-sent-when-written.m=100.p=1.s=always.r=truncate-at-corruption.c=process-kill.at=end.d=A9.b=10.n=4.z=200.a=10.t=build.seed=42.st=memory.dl=ef-2s/fb-1s/lb-1m/to-10s/sw-10m/ex-one/ar-false.f=receiver-crashes/after-500ms/for-500ms


    t1.sc=a10-archive-not-synced.m=100.p=1.s=always.r=truncate-at-corruption.c=power-loss.at=end.d=A10.b=10.n=4.z=200.a=10.t=build.seed=42.st=memory.dl=ef-1s/fb-1s/lb-1m/to-10s/sw-10m/ex-one/ar-true


    t1.sc=r1-durable-at-once.m=10.p=1.s=always.r=skip-corrupted.c=power-loss.at=end.d=R1.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=p1-directory-never-synced.m=10.p=1.s=always.r=skip-corrupted.c=power-loss.at=end.d=P1.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=p2-sync-repeated.m=100.p=1.s=always.r=skip-corrupted.c=power-loss.at=end.d=P2.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory.f=sync-failure/how-marks-clean/occurrence-1/on-sync/phase-produce/target-segment


    t1.sc=p4-header-unsealed.m=100.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=P4.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory.f=bit-flip/at-rest/target-batch-offset


    t1.sc=p5-covered-at-completion.m=300.p=3.s=interval-4ms.r=skip-corrupted.c=power-loss.at=70pc.d=P5.b=1.n=8.z=400.a=10.t=orders.seed=50.st=memory


    t1.sc=p6-queue-answered-too.m=100.p=1.s=always.r=skip-corrupted.c=power-loss.at=50pc.d=P6.b=10.n=4.z=1000.a=10.t=orders.seed=62.st=memory


    t1.sc=p8-short-write-believed.m=100.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=P8.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory.f=short-write/occurrence-3/phase-produce/target-batch


    t1.sc=p9-torn-record-counted.m=100.p=3.s=always.r=skip-corrupted.c=power-loss.at=50pc.d=P9.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=p10-index-off-by-one.m=100.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=P10.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=p11-one-buffer-for-all.m=100.p=3.s=always.r=skip-corrupted.c=process-kill.at=end.d=P11.b=10.n=4.z=1000.a=10.t=orders.seed=42.st=memory


    t1.sc=defects.m=60.p=1.s=always.r=skip-corrupted.c=process-kill.at=end.d=P12.b=1.n=4.z=100.a=0.t=orders.seed=47.st=memory


    """
}
