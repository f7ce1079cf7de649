import LogModel

extension FaultDescriptor {
  /// Every kind of fault that a scenario may ask for, in the order of `docs/scenarios.md`.
  package static let all: [FaultDescriptor] =
    StorageFaultGrammar.descriptors + AtRestFaultGrammar.descriptors + ObjectStoreFaultGrammar.descriptors
    + ReceiverFaultGrammar.descriptors + [RecoveryRunbook.descriptor, DiskSpaceRecovery.descriptor]
}
