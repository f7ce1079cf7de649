// FaultInjection
