// PartitionEngine
